"""A stream for log lines that may lose its reader: lines are lost then, never the thread that logs."""

from __future__ import annotations

import io
from contextlib import suppress
from typing import TextIO


class Sink(io.TextIOBase):
    """Writes to another stream for as long as that takes anything."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        # ValueError: the stream was closed in this process.
        with suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._stream.flush()
