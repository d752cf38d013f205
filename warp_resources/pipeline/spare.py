"""A process forked while this one is young: help with everything loaded, at hand without a start of its own."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from warp_resources.config import WarpConfig
from warp_resources.connectors.registry import destination_class, source_class
from warp_resources.pipeline.lean import keep_pandas_out
from warp_resources.pipeline.payload import Work

_POLL_SECONDS = 0.01
_DISMISSAL_SECONDS = 2.0
_TASKS = Path("/proc/self/task")
_ALLOCATOR_THREAD = "jemalloc_bg_thd"
"""Of Arrow's allocator, which prepares for forks itself."""

_kept: list[SpareProcess] = []

Serve = Callable[[BinaryIO], int]
"""What a child does: reads its work from the stream, and gives its exit code."""


class SpareProcess:
    """The forked process as its parent sees it; ``stdin`` is the pipe that its work goes through."""

    def __init__(self, serve: Serve) -> None:
        reading, writing = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            os.close(writing)
            _live(serve, reading)
        os.close(reading)
        self.stdin: BinaryIO = os.fdopen(writing, "wb")
        self._code: int | None = None

    def poll(self) -> int | None:
        """Its exit code; None while it runs."""
        if self._code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._code = os.waitstatus_to_exitcode(status) if pid else None
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended.

        Raises:
            subprocess.TimeoutExpired: it has not.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if end is not None and timeout is not None and time.monotonic() > end:
                raise subprocess.TimeoutExpired("slice helper", timeout)
            time.sleep(_POLL_SECONDS)
        return code

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


def keep_spare(config: WarpConfig, serve: Serve) -> None:
    """Fork a process that may be wanted later; nothing happens where forking is not safe.

    That is wherever threads run already, and outside Linux, whose system libraries bear it.
    """
    source_class(config.source.type), destination_class(config.destination.type)
    keep_pandas_out()
    if sys.platform == "linux" and _is_alone():
        sys.stdout.flush()
        sys.stderr.flush()
        _kept.append(SpareProcess(serve))


def _is_alone() -> bool:
    """Whether no other thread could be holding a lock at the moment of the fork."""
    try:
        names = [(task / "comm").read_text().strip() for task in _TASKS.iterdir() if task.name != str(os.getpid())]
    except OSError:
        # One of them ended a moment ago.
        return False
    return threading.active_count() == 1 and all(name == _ALLOCATOR_THREAD for name in names)


def take_spare(work: Work) -> SpareProcess | None:
    """Give the work to the process that was kept; None where there is none, or it is gone."""
    if not _kept:
        return None
    spare = _kept.pop()
    try:
        pickle.dump(work, spare.stdin)
        spare.stdin.flush()
    except BrokenPipeError:
        spare.wait()
        return None
    return spare


def dismiss_spare() -> None:
    """End the process that was kept: it will not be wanted."""
    while _kept:
        spare = _kept.pop()
        spare.stdin.close()
        try:
            spare.wait(_DISMISSAL_SECONDS)
        except subprocess.TimeoutExpired:
            # It has nothing to lose, and nobody may wait for it.
            spare.kill()
            spare.wait()


def _live(serve: Serve, reading: int) -> None:
    """The whole life of the child: what its parent would do at its end, closing and telling, is not its part."""
    code = 1
    try:
        # The parent decides when to stop; a Ctrl-C in the terminal reaches both.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        with os.fdopen(reading, "rb") as stream:
            code = serve(stream)
    except EOFError:
        # The parent ended, or found nothing to do.
        code = 0
    except BaseException:  # noqa: BLE001 - told here, since nobody is left to tell it.
        traceback.print_exc()
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            # Also where nobody reads them any more.
            os._exit(code)
