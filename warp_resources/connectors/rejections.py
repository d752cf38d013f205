"""Decides when the rows that a destination refuses are too many to be the fault of single rows."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from warp_resources.model.tables import TableId

FLOOR = 10
"""So few refused rows are never too many, whatever share they are: a light load comes in tiny parts."""
WINDOW_ROWS = 1_000


def most_refused(rows: int, share: float) -> int:
    """How many of some rows may be refused; none at all where the share is 0."""
    return max(FLOOR, int(rows * share)) if share else 0


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was refused of the latest rows of a table, and whether that is too much."""

    rows: int
    refused: int
    is_systemic: bool


@dataclass(slots=True)
class _Window:
    commits: deque[tuple[int, int]] = field(default_factory=deque)
    rows: int = 0
    refused: int = 0

    def add(self, rows: int, refused: int) -> None:
        self.commits.append((rows, refused))
        self.rows += rows
        self.refused += refused
        while self.commits and self.rows - self.commits[0][0] >= WINDOW_ROWS:
            oldest = self.commits.popleft()
            self.rows -= oldest[0]
            self.refused -= oldest[1]


class Rejections:
    """The latest commits of each table of which anything was refused, at least ``WINDOW_ROWS`` rows where there are."""

    def __init__(self) -> None:
        self._windows: dict[TableId, _Window] = {}

    def judge(self, table: TableId, rows: int, refused: int, share: float) -> Judgement:
        """Of a part that is not committed yet: by itself, and together with the latest that are."""
        if refused > most_refused(rows, share):
            return Judgement(rows, refused, is_systemic=True)
        window = self._windows.get(table, _Window())
        rows, all_refused = rows + window.rows, refused + window.refused
        return Judgement(rows, all_refused, is_systemic=bool(refused) and all_refused > most_refused(rows, share))

    def note(self, table: TableId, rows: int, refused: int) -> None:
        """Count a part that is committed."""
        window = self._windows.get(table)
        if window is None:
            if not refused:
                return
            window = self._windows[table] = _Window()
        window.add(rows, refused)
        if not window.refused:
            del self._windows[table]
