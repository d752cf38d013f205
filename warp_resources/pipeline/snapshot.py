"""Reads whole tables chunk by chunk, resumable by slice, beside a running stream."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import structlog

from warp_resources.config import DEFAULT_SLICES
from warp_resources.connectors.interfaces import Destination
from warp_resources.errors import GenerationClosed, LeaseHeld
from warp_resources.failpoints import failpoint
from warp_resources.model.positions import (
    ChunkCommit,
    GenerationState,
    Position,
    SliceState,
    slice_lease,
    slice_name,
    stream_lease,
)
from warp_resources.model.tables import TableId
from warp_resources.pipeline.chunk_pace import FIRST_ROWS, ChunkPace
from warp_resources.pipeline.correlation import correlated
from warp_resources.pipeline.engine import BATCH, Engine
from warp_resources.pipeline.freshness import not_before
from warp_resources.pipeline.marker import capped, highest, later, marker_at, time_of

LOAD_PREFIX = "load-"
ENGINE_PREFIXES = (LOAD_PREFIX, "history-", "resync-")
"""Generations that an engine may finish for another; one that a backfill began has another name."""
TIMESTAMP = "timestamp"
FOLLOW = "follow"
"""The ``on_source_change`` with which the rows of a table go as the source's do."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ChunkReport:
    """One committed chunk."""

    table: TableId
    slice: str
    rows: int
    byte_count: int


OnChunk = Callable[[ChunkReport], None]
"""Told of each committed chunk, for progress."""


def ignore_chunk(chunk: ChunkReport) -> None:
    """The listener of those who show no progress."""


def open_generation(
    engine: Engine, table: TableId, generation: str, slices: Sequence[str] | None = None
) -> GenerationState:
    """Open a reading of a table over its stored plan, making the plan at first use."""
    planned_slices(engine, table)
    ceiling = None
    if has_marker(engine, table):
        # Whatever changes after this moment is for the ticks that follow, however long the reading takes.
        settings = engine.unit.settings(table.name)
        ceiling = marker_at(settings.marker_column, engine.now(), settings.marker_timezone)
    opened = engine.destination.open_generation(table, generation, slices, ceiling)
    failpoint("generation.opened")
    log.info("snapshot opened", table=str(table), generation=generation, slices=len(opened.slices))
    return opened


def planned_slices(engine: Engine, table: TableId) -> list[str]:
    """The slices of a table's stored plan, which is made at first use; a small table has one."""
    plan = engine.destination.table_plan(table)
    if not plan:
        ranges = engine.source.plan(engine.scope, table.name, partition_count(engine, table))
        plan = engine.destination.save_plan(table, ranges)
    return [slice_name(ordinal) for ordinal in range(len(plan))]


def partition_count(engine: Engine, table: TableId) -> int:
    """How many slices the configuration wants of a table; its plan may have another number.

    A table whose partitions are windows of time has no number of its own.
    """
    return engine.unit.settings(table.name).partitions.slices or DEFAULT_SLICES


def has_marker(engine: Engine, table: TableId) -> bool:
    """Whether a table is synced by a marker column, which its readings then look at too."""
    return engine.unit.mode == BATCH and engine.unit.settings(table.name).strategy == TIMESTAMP


def first_load(engine: Engine, table: TableId) -> GenerationState:
    """Take up the reading of a table that is open, or open its first load."""
    for generation in engine_generations(engine):
        if generation.table == table and generation.is_whole:
            return generation
    return open_generation(engine, table, load_name(engine))


def load_name(engine: Engine) -> str:
    """The generation of the first loads that this run opens."""
    return f"{LOAD_PREFIX}{engine.run_id}"


def engine_generations(engine: Engine) -> list[GenerationState]:
    """The open generations that an engine process takes up by itself, whoever began them."""
    return [
        generation
        for generation in engine.destination.generations(engine.unit.schema)
        if generation.generation.startswith(ENGINE_PREFIXES)
    ]


def read_generation(
    engine: Engine, generation: GenerationState, *, backwards: bool = False, only: Collection[str] | None = None
) -> Iterator[ChunkReport]:
    """Read the slices that nobody else is reading, as ``read_slices`` does, and close what is then whole."""
    yield from read_slices(engine, generation, backwards=backwards, only=only)
    close_if_read(engine, generation)


def read_slices(
    engine: Engine, generation: GenerationState, *, backwards: bool = False, only: Collection[str] | None = None
) -> Iterator[ChunkReport]:
    """Read the slices that nobody else is reading, a chunk per step.

    Slices held by another process are left to it: the caller asks ``generations`` again.
    ``backwards`` keeps two processes that share a generation out of each other's way.
    ``only`` names the slices to read; None means all.
    """
    pace = ChunkPace(None if generation.generation.startswith(LOAD_PREFIX) else FIRST_ROWS)
    for part in reversed(generation.slices) if backwards else generation.slices:
        if not part.is_done and (only is None or part.name in only):
            yield from _read_slice(engine, generation, part, pace)


def _read_slice(
    engine: Engine, generation: GenerationState, part: SliceState, pace: ChunkPace
) -> Iterator[ChunkReport]:
    table = generation.table
    lease = slice_lease(table, part.name)
    try:
        engine.leases.take(lease)
    except LeaseHeld as held:
        log.debug("slice is read elsewhere", table=str(table), slice=part.name, holder=held.facts.get("holder"))
        return
    try:
        epoch, current = engine.destination.seize_slice(table, generation.generation, part.name)
        failpoint("slice.taken")
        resume, high, is_done = current.resume, current.high, current.is_done
        while not is_done and not engine.stop.is_set():
            engine.leases.demand(lease)
            # Around the chunk alone: between two, the engine is at something else.
            with correlated(engine.unit.config, table=str(table), slice=part.name):
                report, resume, high, is_done = _read_chunk(engine, generation, current, epoch, resume, high, pace)
            failpoint("chunk.written")
            yield report
        failpoint("slice.read")
    except GenerationClosed:
        # Another process read the rest and closed it since this one listed the slices; or the source table is gone.
        return
    finally:
        engine.leases.let_go(lease)


def _read_chunk(
    engine: Engine,
    generation: GenerationState,
    part: SliceState,
    epoch: int,
    resume: str | None,
    high: Position | None,
    pace: ChunkPace,
) -> tuple[ChunkReport, str | None, Position | None, bool]:
    table = generation.table
    # Noted before the read: whatever the stream commits from here on is newer than this chunk.
    basis = engine.destination.chunk_basis(table)
    chunk = engine.source.read_chunk(
        engine.scope, table.name, part.range, resume, engine.chunk_limits(table.name), not_before(engine.source, basis)
    )
    if chunk.is_gone and engine.unit.mode == BATCH:
        # At once: if it is made again before the other slices are read, this one must not count as empty.
        _abandon(engine, generation)
        raise GenerationClosed("The source table no longer exists", table=table)
    if has_marker(engine, table):
        settings = engine.unit.settings(table.name)
        high = later(high, highest(chunk.batch, settings.marker_column, settings.marker_timezone))
        high = capped(high, time_of(generation.ceiling)) if generation.ceiling else high
    commit = ChunkCommit(
        table=table,
        generation=generation.generation,
        slice=part.name,
        epoch=epoch,
        basis=basis.sequence,
        resume=chunk.resume,
        is_done=chunk.is_last,
        high=high,
        holds_stream=engine.leases.holds(stream_lease(table.schema)),
        row_count=chunk.batch.row_count,
        seconds=pace.lap(),
    )
    failpoint("chunk.read")
    receipt = engine.writer.write([chunk.batch], commit)
    pace.committed(chunk.batch.row_count, receipt.locked_seconds)
    report = ChunkReport(table, part.name, chunk.batch.row_count, chunk.batch.byte_count)
    return report, chunk.resume, high, chunk.is_last


def state_of(destination: Destination, reading: GenerationState) -> GenerationState | None:
    """How far a reading is now; None where it is at its end."""
    for found in destination.generations(reading.table.schema):
        if (found.table, found.generation) == (reading.table, reading.generation):
            return found
    return None


def close_if_read(engine: Engine, generation: GenerationState) -> None:
    """End a generation if all of its slices are read, whoever read them."""
    table = generation.table
    current = state_of(engine.destination, generation)
    if current is None or not current.is_read:
        return
    failpoint("generation.read")
    is_kept = engine.unit.settings(table.name).on_source_change != FOLLOW
    if is_kept and not any(found.name == table.name for found in engine.source.tables(engine.scope)):
        _abandon(engine, generation)
        return
    removed = engine.destination.close_generation(table, generation.generation, engine.run_id)
    log.info("snapshot complete", table=str(table), generation=generation.generation, stale_rows_removed=removed)


def _abandon(engine: Engine, generation: GenerationState) -> None:
    """End a reading whose source table is gone, without removing what it did not find."""
    reason = "the source table no longer exists; its rows are kept"
    engine.destination.abandon_generation(generation.table, generation.generation, reason)
    log.warning("snapshot abandoned", table=str(generation.table), reason=reason)
