"""Shows how far long work has come: a bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from warp_resources.cli.console import note

LINE_EVERY_SECONDS = 5.0


class RowProgress:
    """Counts rows towards an estimate, per label; a context manager. Everything goes to standard error."""

    def __init__(self, estimates: dict[str, int], *, lines: bool = True) -> None:
        self._estimates = estimates
        self._done: dict[str, int] = {}
        self._started = time.monotonic()
        self._last_line = self._started
        self._with_lines = lines
        self._bar = _bar() if sys.stderr.isatty() else None
        self._tasks: dict[str, TaskID] = {}

    @property
    def rows(self) -> int:
        return sum(self._done.values())

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def add(self, label: str, rows: int) -> None:
        """Count rows that were committed."""
        self._done[label] = self._done.get(label, 0) + rows
        if self._bar is not None:
            self._show(self._bar, label)
        elif self._with_lines and time.monotonic() - self._last_line > LINE_EVERY_SECONDS:
            self._last_line = time.monotonic()
            note(self._line(label))

    def summary(self) -> str:
        """What was done in all, and how fast."""
        seconds = max(time.monotonic() - self._started, 0.001)
        return f"{self.rows:,} rows in {seconds:.1f} s ({self.rows / seconds:,.0f} rows/s)"

    def _show(self, bar: Progress, label: str) -> None:
        if label not in self._tasks:
            self._tasks[label] = bar.add_task(label, total=self._estimates.get(label) or None, rate="")
        seconds = max(time.monotonic() - self._started, 0.001)
        # The estimate may be too low: the bar is full then, not beyond.
        total = max(self._estimates.get(label, 0), self._done[label])
        rate = f"{self._done[label]:,} rows  {self._done[label] / seconds:,.0f}/s"
        bar.update(self._tasks[label], completed=self._done[label], total=total, rate=rate)

    def _line(self, label: str) -> str:
        done, total = self._done[label], self._estimates.get(label, 0)
        rate = self.rows / max(time.monotonic() - self._started, 0.001)
        left = f", {(total - done) / rate:.0f} s left" if total > done and rate else ""
        return f"{label}: {done:,} of about {max(total, done):,} rows, {rate:,.0f} rows/s{left}"


def _bar() -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=Console(stderr=True))
