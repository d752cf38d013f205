"""Reads a generation to its end, in two processes where there is room and need for them."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from warp_resources.connectors.interfaces import Destination
from warp_resources.errors import FencedOut
from warp_resources.model.positions import GenerationState, SliceState
from warp_resources.pipeline.engine import Engine
from warp_resources.pipeline.payload import Work
from warp_resources.pipeline.reading_watch import OnProgress, ReadingWatch, ignore_progress
from warp_resources.pipeline.report import SyncReport
from warp_resources.pipeline.slice_process import HELPER_ROWS, SliceHelper, may_help
from warp_resources.pipeline.snapshot import OnChunk, close_if_read, ignore_chunk, read_slices, state_of
from warp_resources.pipeline.spare import dismiss_spare

HELD_ELSEWHERE_SECONDS = 0.2
MOST_TAKEN_OVER = 5
"""Slices lost to others in a row, after which this process is too slow to be of use."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ReadingWish:
    """How a generation is to be read.

    ``may_share``: a second process may take part, which it does where there is enough to read, or with ``is_large``
    in any case. ``row_estimate``: of the whole reading; None where the destination's own table tells. ``on_chunk`` is
    told of each chunk that this process commits, ``on_progress`` now and then of what all processes have read.
    """

    may_share: bool = False
    is_large: bool = False
    row_estimate: int | None = None
    on_chunk: OnChunk = ignore_chunk
    on_progress: OnProgress = ignore_progress


ALONE = ReadingWish()


def read_to_end(
    engine: Engine,
    reading: GenerationState,
    report: SyncReport,
    wish: ReadingWish,
    only: Collection[str] | None = None,
) -> None:
    """Read until no slice of it is left to read, or the engine is stopped; what was read is added to the report.

    Slices that another process reads are waited for, and taken over from one that died.

    Args:
        only: names the slices to read; None means all, and its closing.

    Raises:
        FencedOut: this process loses slice after slice.
    """
    estimate = wish.row_estimate
    if estimate is None and wish.on_progress is not ignore_progress:
        estimate = estimate_of(engine.destination, reading)
    watch = ReadingWatch(engine.destination, estimate, wish.on_progress, only)
    with _helped(engine, reading, wish, estimate or 0) as watch.reader_count:
        _read(engine, reading, report, watch, wish.on_chunk, only)
    report.progress = watch.last


def _read(
    engine: Engine,
    reading: GenerationState,
    report: SyncReport,
    watch: ReadingWatch,
    on_chunk: OnChunk,
    only: Collection[str] | None,
) -> None:
    current: GenerationState | None = reading
    taken_over = 0
    while current is not None:
        watch.note(current)
        if engine.stop.is_set() or (only is not None and all(part.is_done for part in named(current, only))):
            return
        chunks = 0
        try:
            for chunk in read_slices(engine, current, only=only):
                chunks, taken_over = chunks + 1, 0
                engine.has_worked = True
                report.rows_written += chunk.rows
                report.byte_count += chunk.byte_count
                on_chunk(chunk)
                watch.look(current)
        except FencedOut as fenced:
            # It was held up for longer than its lease lasts, and another process reads that slice on.
            taken_over += 1
            if taken_over > MOST_TAKEN_OVER:
                raise
            log.warning("slice was taken over", table=str(reading.table), reason=str(fenced))
            # Two that find no lease of each other would fence each other for ever, at the same pace.
            engine.stop.wait(random.uniform(0, HELD_ELSEWHERE_SECONDS * 3**taken_over))
        current = state_of(engine.destination, reading)
        if current is not None and current.is_read:
            watch.note(current)
            close_if_read(engine, current)
            return
        if not chunks:
            engine.stop.wait(HELD_ELSEWHERE_SECONDS)


def named(reading: GenerationState, only: Collection[str] | None) -> list[SliceState]:
    """The slices of a reading that have these names; None means all."""
    return [part for part in reading.slices if only is None or part.name in only]


@contextmanager
def _helped(engine: Engine, reading: GenerationState, wish: ReadingWish, row_estimate: int) -> Iterator[int]:
    """With a second process, where there is enough to read; how many there are."""
    undone = sum(not part.is_done for part in reading.slices)
    rows = row_estimate * undone // len(reading.slices)
    if not wish.may_share or undone < 2 or not may_help(engine.unit) or (rows < HELPER_ROWS and not wish.is_large):
        dismiss_spare()
        yield 1
        return
    helper = SliceHelper(Work(engine.unit, engine.run_id, generation=reading.generation))
    has_work = True
    try:
        yield 2
        # Not where it failed: the destination that did not answer would keep the helper from its end.
        has_work = state_of(engine.destination, reading) is not None
    finally:
        helper.close(has_work=has_work)


def estimate_of(destination: Destination, reading: GenerationState) -> int:
    """The rows of a reading, which may be of some slices only, by those that the table has already."""
    slices = len(destination.table_plan(reading.table)) or 1
    return destination.row_estimate(reading.table) * len(reading.slices) // slices
