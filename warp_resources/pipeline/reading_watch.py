"""Follows a reading from the process that takes part in it, and tells how far it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from warp_resources.connectors.interfaces import Destination
from warp_resources.model.positions import GenerationState
from warp_resources.pipeline.reading_progress import ReadingProgress, only_slices, progress_of
from warp_resources.pipeline.snapshot import state_of

OnProgress = Callable[[ReadingProgress], None]
"""Told now and then how far a reading has come, and at its end."""

LOOK_EVERY_SECONDS = 1.0


def ignore_progress(progress: ReadingProgress) -> None:
    """The listener of those who show none."""


@dataclass(slots=True)
class ReadingWatch:
    """Looks at what the slices of a reading keep of it, so that what others read counts too.

    ``only``: the slices that the caller wants; None means all. ``reader_count``: processes that are to read them.
    ``last``: what was told last, or would have been.
    """

    destination: Destination
    row_estimate: int | None
    tell: OnProgress
    only: Collection[str] | None = None
    reader_count: int = 1
    last: ReadingProgress | None = None
    _began: float = field(default_factory=time.monotonic)
    _first_rows: int | None = None
    _looked_at: float = 0.0

    def look(self, reading: GenerationState) -> None:
        """Tell how far it is, at most once a second."""
        if self.tell is ignore_progress or time.monotonic() - self._looked_at < LOOK_EVERY_SECONDS:
            return
        found = state_of(self.destination, reading)
        if found is not None:
            self.note(found)

    def note(self, reading: GenerationState) -> None:
        """Tell of this state of it."""
        self._looked_at = time.monotonic()
        wanted = reading if self.only is None else only_slices(reading, frozenset(self.only))
        rows = sum(part.row_count for part in wanted.slices)
        if self._first_rows is None:
            # What was read before is done, and says nothing of how fast it goes now.
            self._first_rows, self._began = rows, self._looked_at
        seconds = self._looked_at - self._began
        speed = (rows - self._first_rows) / seconds if seconds > LOOK_EVERY_SECONDS else None
        # The rows of other slices were estimated with these.
        estimate = (
            self.row_estimate
            if self.row_estimate is None
            else self.row_estimate * len(wanted.slices) // len(reading.slices)
        )
        self.last = progress_of(wanted, estimate, self.reader_count, speed or None)
        self.tell(self.last)
