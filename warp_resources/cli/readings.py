"""Looks at the readings of tables that are open, for ``status``."""

from __future__ import annotations

from collections.abc import Mapping

from warp_resources.connectors.interfaces import Destination, StateStore
from warp_resources.model.positions import GenerationState, TableState, slice_lease
from warp_resources.pipeline.parallel import estimate_of
from warp_resources.pipeline.reading_progress import ReadingProgress, progress_of

Readings = dict[str, tuple[ReadingProgress, ...]]
"""By table, the oldest first."""


def readings_of(destination: Destination, store: StateStore, schema: str, states: Mapping[str, TableState]) -> Readings:
    """How far each reading of a schema's tables is, whoever is at it."""
    found: Readings = {}
    for reading in destination.generations(schema):
        name = reading.table.name
        # What a first load has written so far says nothing of how much there is.
        is_loaded = name in states and states[name].is_loaded
        estimate = estimate_of(destination, reading) if is_loaded else None
        found[name] = (*found.get(name, ()), progress_of(reading, estimate, _reader_count(store, reading)))
    return found


def reading_text(progress: ReadingProgress) -> str:
    """A reading as people read it."""
    since = "" if progress.opened_at is None else f" since {progress.opened_at:%Y-%m-%d %H:%M:%S} UTC"
    idle = "" if progress.reader_count or progress.slices_done == progress.slice_count else ", nobody reads it now"
    return f"reading {progress.generation}{since}: {progress}{idle}"


def _reader_count(store: StateStore, reading: GenerationState) -> int:
    """A process reads one slice at a time."""
    unread = [part.name for part in reading.slices if not part.is_done]
    return sum(store.lease_holder(slice_lease(reading.table, name)) is not None for name in unread)
