"""Keeps what is read at a time of a table that is behind so small that writing it holds nobody else up for long."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from warp_resources.connectors.interfaces import ReadLimits

FIRST_ROWS, GROWTH = 4, 4
MOST_ROWS = 10_000
"""Above this, the usual limits are bound enough."""
SHORT_SECONDS, LONG_SECONDS = 0.25, 0.75


@dataclass(slots=True)
class Portions:
    """The most rows at a time, by table; of those that are not in here, as many as usual.

    A table that was left behind may be one whose rows take long to write: it begins with a few.
    """

    rows: dict[str, int] = field(default_factory=dict)

    def begin(self, table: str) -> None:
        """A table failed, or goes on from behind: few rows first."""
        self.rows[table] = FIRST_ROWS

    def end(self, table: str) -> None:
        """A table is where all others are."""
        self.rows.pop(table, None)

    def are_few(self, table: str) -> bool:
        """Whether a table's portions are as small as need be: what still takes long then, takes as long as it takes."""
        return self.rows.get(table, MOST_ROWS) <= FIRST_ROWS

    def limits(self, table: str, usual: ReadLimits) -> ReadLimits:
        """What to read next of a table."""
        most = self.rows.get(table)
        if most is None:
            return usual
        return replace(usual, max_rows=most if usual.max_rows is None else min(most, usual.max_rows))

    def written(self, table: str, seconds: float) -> None:
        """Take note of how long the last portion took."""
        most = self.rows.get(table)
        if most is None:
            if seconds > LONG_SECONDS:
                self.rows[table] = MOST_ROWS // GROWTH
        elif seconds > LONG_SECONDS:
            self.rows[table] = max(1, int(most * SHORT_SECONDS / seconds))
        elif seconds < SHORT_SECONDS and most * GROWTH <= MOST_ROWS:
            self.rows[table] = most * GROWTH
        elif seconds < SHORT_SECONDS:
            self.end(table)
