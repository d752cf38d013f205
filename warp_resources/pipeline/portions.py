"""Keeps what is read at a time of a table that is behind so small that writing it holds nobody else up for long."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from warp_resources.connectors.interfaces import ReadLimits

FIRST_ROWS, FEW_ROWS, GROWTH = 64, 4, 4
"""To begin with: soon written, and more than may be refused before the table is given up as a whole."""
MOST_ROWS = 10_000
"""Above this, the usual limits are bound enough."""
SHORT_SECONDS, LONG_SECONDS = 0.25, 0.75
_PROBE_ROWS, _PROBE_EVERY = 2, 8
"""Where a single row takes long, two are tried now and then: over a slow line they take no longer."""
_AS_LONG = 1.5


@dataclass(slots=True)
class Portions:
    """The most rows at a time, by table; of those that are not in here, as many as usual.

    A table that was left behind may be one whose rows take long to write: it begins with some. ``constant``: the
    seconds that a portion takes whatever its size, where they are many.
    """

    rows: dict[str, int] = field(default_factory=dict)
    constant: dict[str, float] = field(default_factory=dict)
    _singles: dict[str, tuple[int, float]] = field(default_factory=dict)

    def begin(self, table: str, *, is_slow: bool = False) -> None:
        """A table failed, or goes on from behind: some rows first, or very few where it took too long."""
        self.rows[table] = FEW_ROWS if is_slow else min(FIRST_ROWS, self.rows.get(table, FIRST_ROWS))

    def end(self, table: str) -> None:
        """A table is where all others are."""
        self.rows.pop(table, None)
        self._singles.pop(table, None)

    def are_few(self, table: str) -> bool:
        """Whether a table's portions are as small as need be: what still takes long then, takes as long as it takes."""
        return self.rows.get(table, MOST_ROWS) <= FEW_ROWS

    def limits(self, table: str, usual: ReadLimits) -> ReadLimits:
        """What to read next of a table."""
        most = self.rows.get(table)
        if most is None:
            return usual
        return replace(usual, max_rows=most if usual.max_rows is None else min(most, usual.max_rows))

    def written(self, table: str, seconds: float) -> None:
        """Take note of how long the last portion took."""
        most = self.rows.get(table)
        constant = self.constant[table] = min(self.constant.get(table, 0.0), seconds)
        owed = seconds - constant
        if most is None:
            if owed > LONG_SECONDS:
                self.rows[table] = MOST_ROWS // GROWTH
        elif owed > LONG_SECONDS:
            self.rows[table] = self._fewer(table, most, seconds)
        elif owed < SHORT_SECONDS and most * GROWTH <= MOST_ROWS:
            self.rows[table] = most * GROWTH
        elif owed < SHORT_SECONDS:
            self.end(table)

    def _fewer(self, table: str, most: int, seconds: float) -> int:
        """How many rows to read next after a portion that took long."""
        count, single = self._singles.get(table, (0, 0.0))
        if most == 1:
            self._singles[table] = count + 1, seconds
            return 1 if count % _PROBE_EVERY else _PROBE_ROWS
        if most == _PROBE_ROWS and seconds < _AS_LONG * single:
            self.constant[table] = min(seconds, single)
            return FEW_ROWS
        return max(1, int(most * SHORT_SECONDS / (seconds - self.constant[table])))
