"""Sizes the chunks of a reading, so that a stream never waits for one for long."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace

from warp_resources.connectors.interfaces import ReadLimits

LOCKED_SECONDS = 0.125
"""What a chunk's commit may keep other writers of the table waiting; two readers may be at it one after the other."""
FIRST_ROWS = 8_000
"""Of a table that others write, until it is known how long a chunk takes."""
FEWEST_ROWS = 500
"""Smaller chunks cost more by their number than they spare by their size."""
TIMES_THE_LEAST = 3
"""Over a slow line the smallest chunk's commit is a long one, too: of those, others wait for as many."""


@dataclass(slots=True)
class ChunkPace:
    """The chunks of one reader: how many rows the next one may have, and how long each took.

    ``max_rows`` None: as many as the source gives at once. That is so where nobody has to wait: a first load copies
    into a table that nobody else writes.
    """

    max_rows: int | None = None
    _began: float = field(default_factory=time.monotonic)
    _least_seconds: float = math.inf

    def limits(self, its: ReadLimits) -> ReadLimits:
        """The limits of the next chunk, where these hold in any case."""
        if self.max_rows is None:
            return its
        return replace(its, max_rows=min(self.max_rows, its.max_rows or self.max_rows))

    def lap(self) -> float:
        """The seconds since it was asked last: of a chunk, the commit of the one before it included."""
        before, self._began = self._began, time.monotonic()
        return self._began - before

    def committed(self, rows: int, locked_seconds: float) -> None:
        """Take note of how long a chunk of so many rows kept others waiting."""
        if rows <= FEWEST_ROWS and locked_seconds:
            self._least_seconds = min(self._least_seconds, locked_seconds)
        most = LOCKED_SECONDS
        if self._least_seconds < math.inf:
            most = max(most, TIMES_THE_LEAST * self._least_seconds)
        if locked_seconds > most:
            self.max_rows = max(FEWEST_ROWS, int(rows * most / locked_seconds))
        elif self.max_rows is not None and rows >= self.max_rows and locked_seconds < most / 2:
            self.max_rows *= 2
