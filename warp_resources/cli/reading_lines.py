"""Shows how far the reading of a table has come: a bar on a terminal, plain lines elsewhere, or lines of JSON."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from warp_resources.cli.console import note, show_json_line
from warp_resources.pipeline.reading_progress import ReadingProgress

LINE_EVERY_SECONDS = 5.0


class ReadingLines:
    """What all processes have read of a table, those of an earlier command included; a context manager.

    Args:
        as_json: every few seconds, and at the end, an object on standard output instead of what people read.
    """

    def __init__(self, label: str, *, as_json: bool = False) -> None:
        self._label = label
        self._as_json = as_json
        self._bar = _bar() if sys.stderr.isatty() and not as_json else None
        self._task: TaskID | None = None
        self._began = time.monotonic()
        self._last_line = self._began
        self._first: ReadingProgress | None = None
        self._last: ReadingProgress | None = None

    @property
    def rows(self) -> int:
        """The rows that were read since this began."""
        return self._last.rows - self._first.rows if self._last and self._first else 0

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, progress: ReadingProgress) -> None:
        """Take note of where the reading is, and tell it if it is time to."""
        self._first = self._first or progress
        self._last = progress
        if self._bar is not None:
            if self._task is None:
                self._task = self._bar.add_task(self._label, total=None, figures="")
            self._bar.update(self._task, completed=progress.rows, total=progress.row_estimate, figures=str(progress))
        elif time.monotonic() - self._last_line > LINE_EVERY_SECONDS:
            self._last_line = time.monotonic()
            if self._as_json:
                self._show_json(progress, is_done=False)
            else:
                note(f"{self._label}: {progress}")

    def end(self, *, is_done: bool) -> None:
        """Tell a script how it ended."""
        if self._as_json and self._last is not None:
            self._show_json(self._last, is_done=is_done)

    def summary(self) -> str:
        """What was done in all, and how fast."""
        seconds = max(time.monotonic() - self._began, 0.001)
        before = self._first.rows if self._first else 0
        resumed = f", after {before:,} rows that were read before" if before else ""
        return f"{self.rows:,} rows in {seconds:.1f} s ({self.rows / seconds:,.0f} rows/s){resumed}"

    def _show_json(self, progress: ReadingProgress, *, is_done: bool) -> None:
        show_json_line({**asdict(progress), "done": is_done})


def _bar() -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[figures]}"),
        TimeElapsedColumn(),
    )
    return Progress(*columns, console=Console(stderr=True))
