"""Brings batch tables up to date: what is new by the marker column since the last tick."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta

import structlog

from warp_resources.connectors.interfaces import MarkedRange
from warp_resources.failpoints import failpoint
from warp_resources.model.batches import TableBatch
from warp_resources.model.positions import BatchCommit, Position, TableState, batch_lease, slice_name
from warp_resources.pipeline.correlation import correlated
from warp_resources.pipeline.engine import BATCH, Engine
from warp_resources.pipeline.hash_tick import HASH, compare_and_write
from warp_resources.pipeline.marker import capped, highest, in_zone, later, time_of
from warp_resources.pipeline.parallel import ALONE, ReadingWish, read_to_end
from warp_resources.pipeline.replicate import ABANDONED_AFTER
from warp_resources.pipeline.report import SyncReport
from warp_resources.pipeline.rewriting import Rewriter
from warp_resources.pipeline.shares import slices_of
from warp_resources.pipeline.snapshot import first_load, open_generation, partition_count, planned_slices
from warp_resources.pipeline.waiting import WaitingRows

log = structlog.get_logger(__name__)


WINDOW = "window"
"""What runs over windows count as: they say nothing of how new a table is."""


def sync_table(
    engine: Engine,
    name: str,
    *,
    full_resync: bool = False,
    generation: str | None = None,
    wish: ReadingWish = ALONE,
) -> SyncReport:
    """One tick of a batch table: its first load, or what changed since its marker.

    Args:
        full_resync: read the whole table again.
        generation: names that reading; the same name takes up where it stopped. Default: the run's own.
        wish: how to read it, or to load it first.

    Raises:
        LeaseHeld: another process is at this table.
    """
    table = engine.table(name)
    with correlated(engine.unit.config, table=str(table)), engine.leases.holding(batch_lease(table)):
        state = engine.destination.seize_table(table, BATCH)
        engine.destination.record_run(engine.run_id, table, BATCH, "running", start=state.position)
        failpoint("tick.claimed")
        must_load = full_resync or not state.is_loaded
        named = generation or f"resync-{engine.run_id}"
        report = _load(engine, state, named if full_resync else None, wish) if must_load else _tick(engine, state)
        Rewriter(engine, {name}).finish()
        # After the reading, so that whoever comes back to one that rested for long goes on with it.
        engine.destination.abandon_idle_generations(table.schema, ABANDONED_AFTER, engine.leases.is_held)
        WaitingRows(engine).try_all()
        status = "stopped" if engine.stop.is_set() else "success"
        engine.destination.record_run(engine.run_id, table, BATCH, status, end=report.position)
        return report


def sync_window(
    engine: Engine, name: str, since: datetime | None, until: datetime | None, *, unmarked: bool = False
) -> SyncReport:
    """Upsert the rows of a window of the partitions' column; deletes nothing and leaves the marker (D7).

    Args:
        since: first time of the window, None for open; ``until`` is the first time after it.
        unmarked: rows without a time in that column are included.
    """
    settings = engine.unit.settings(name)
    table = engine.table(name)
    report = SyncReport(table)
    with correlated(engine.unit.config, table=str(table)), engine.leases.holding(batch_lease(table)):
        state = engine.destination.seize_table(table, BATCH)
        column = settings.partitions.column or settings.marker_column
        marked = MarkedRange(column, since, until, unmarked, settings.marker_timezone)
        for batch in engine.source.read_marked(engine.scope, name, marked, engine.chunk_limits(name)):
            engine.leases.demand(batch_lease(table))
            receipt = engine.writer.write([batch], BatchCommit(table, state.epoch, None, counted_as=WINDOW))
            report.add(receipt.tables.get(table))
            if engine.stop.is_set():
                break
    report.position = state.position
    return report


def sync_slices(engine: Engine, name: str, slices: Collection[str]) -> SyncReport:
    """Compare some slices of the keys of a table with strategy ``hash`` and write what differs; deletes nothing.

    All of its slices are the whole table, which is a tick of it.
    """
    table = engine.table(name)
    count = partition_count(engine, table)
    if set(map(slice_name, range(count))) <= set(slices):
        return sync_table(engine, name)
    with correlated(engine.unit.config, table=str(table)), engine.leases.holding(batch_lease(table)):
        state = engine.destination.seize_table(table, BATCH)
        planned = planned_slices(engine, table)
        wanted = slices_of(slices, count, planned)
        plan = engine.destination.table_plan(table)
        ranges = [key_range for part, key_range in zip(planned, plan, strict=True) if part in wanted]
        report = compare_and_write(engine, state, ranges, WINDOW) if ranges else SyncReport(table)
    report.position = state.position
    return report


def _load(engine: Engine, state: TableState, generation: str | None, wish: ReadingWish) -> SyncReport:
    """Read a whole table: in a generation of that name, or its first load where none is named."""
    table = state.table
    report = SyncReport(table)
    reading = open_generation(engine, table, generation) if generation else first_load(engine, table)
    read_to_end(engine, reading, report, wish)
    report.position = engine.destination.table_states(table.schema)[table.name].position
    return report


def _tick(engine: Engine, state: TableState) -> SyncReport:
    table, settings = state.table, engine.unit.settings(state.table.name)
    column, zone = settings.marker_column, settings.marker_timezone
    if settings.strategy == HASH:
        return compare_and_write(engine, state)
    report = SyncReport(table, position=state.position)
    # No marker may pass the clock at the start: a row that changes during the read is found next time.
    started = engine.now()
    marker = _usable(state.position, column, zone)
    since = _since(marker, started, settings.lookback)
    marked = MarkedRange(column, since, None, unmarked=True, timezone=zone)
    batches = engine.source.read_marked(engine.scope, table.name, marked, engine.chunk_limits(table.name))
    for batch, is_last in _with_last(batches):
        engine.leases.demand(batch_lease(table))
        marker = later(marker, capped(highest(batch, column, zone), started))
        commit = BatchCommit(table, state.epoch, marker if is_last else None)
        failpoint("tick.read")
        report.add(engine.writer.write([batch], commit).tables.get(table))
        if engine.stop.is_set():
            return report
    report.position = marker
    return report


def _usable(marker: Position | None, column: str, zone: str) -> Position | None:
    """A marker of another column says nothing of this one: then everything is read again."""
    return in_zone(marker, zone) if marker is not None and marker.get("column") == column else None


def _since(marker: Position | None, started: datetime, lookback: timedelta) -> datetime | None:
    """The first time of a tick; a clock that was set back since dates what is new before the marker."""
    if marker is None:
        return None
    at = min(time_of(marker), started)
    try:
        return at - lookback
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)


def _with_last(batches: Iterator[TableBatch]) -> Iterator[tuple[TableBatch, bool]]:
    held: TableBatch | None = None
    for batch in batches:
        if held is not None:
            yield held, False
        held = batch
    if held is not None:
        yield held, True
