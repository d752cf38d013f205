"""Brings batch tables up to date: what is new by the marker column since the last tick."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import structlog

from warp_resources.connectors.interfaces import MarkedRange
from warp_resources.model.batches import TableBatch
from warp_resources.model.positions import BatchCommit, Position, TableState
from warp_resources.pipeline.engine import BATCH, Engine
from warp_resources.pipeline.marker import capped, highest, later, time_of
from warp_resources.pipeline.report import SyncReport
from warp_resources.pipeline.snapshot import OnChunk, first_load, ignore_chunk, open_generation, read_generation

log = structlog.get_logger(__name__)


def sync_table(engine: Engine, name: str, *, full_resync: bool = False, on_chunk: OnChunk = ignore_chunk) -> SyncReport:
    """One tick of a batch table: its first load (``on_chunk`` hears of it), or what changed since its marker.

    Raises:
        LeaseHeld: another process is at this table.
    """
    table = engine.table(name)
    with engine.leases.holding(f"batch:{table}"):
        state = engine.destination.seize_table(table, BATCH)
        engine.destination.record_run(engine.run_id, table, BATCH, "running", start=state.position)
        must_load = full_resync or not state.is_loaded
        report = _load(engine, state, full_resync, on_chunk) if must_load else _tick(engine, state)
        if not engine.stop.is_set():
            engine.destination.record_run(engine.run_id, table, BATCH, "success", end=report.position)
        return report


def sync_window(
    engine: Engine, name: str, since: datetime | None, until: datetime | None, *, unmarked: bool = False
) -> SyncReport:
    """Upsert the rows of a window of the marker column; deletes nothing and leaves the marker (D7).

    Args:
        since: first time of the window, None for open; ``until`` is the first time after it.
        unmarked: rows without a time in the marker column are included.
    """
    table = engine.table(name)
    report = SyncReport(table)
    with engine.leases.holding(f"batch:{table}"):
        state = engine.destination.seize_table(table, BATCH)
        marked = MarkedRange(engine.unit.settings(name).marker_column, since, until, unmarked)
        for batch in engine.source.read_marked(engine.scope, name, marked, engine.chunk_limits(name)):
            engine.leases.demand(f"batch:{table}")
            receipt = engine.writer.write([batch], BatchCommit(table, state.epoch, None))
            report.add(receipt.tables.get(table))
            if engine.stop.is_set():
                break
    report.position = state.position
    return report


def _load(engine: Engine, state: TableState, full_resync: bool, on_chunk: OnChunk) -> SyncReport:
    table = state.table
    report = SyncReport(table)
    generation = open_generation(engine, table, f"resync-{engine.run_id}") if full_resync else first_load(engine, table)
    for chunk in read_generation(engine, generation):
        report.rows_written += chunk.rows
        report.byte_count += chunk.byte_count
        on_chunk(chunk)
    report.position = engine.destination.table_states(table.schema)[table.name].position
    return report


def _tick(engine: Engine, state: TableState) -> SyncReport:
    table, settings = state.table, engine.unit.settings(state.table.name)
    report = SyncReport(table, position=state.position)
    # No marker may pass the clock at the start: a row that changes during the read is found next time.
    started = engine.source.now()
    marker = _usable(state.position, settings.marker_column)
    marked = MarkedRange(settings.marker_column, _since(marker, settings.lookback), None, unmarked=True)
    batches = engine.source.read_marked(engine.scope, table.name, marked, engine.chunk_limits(table.name))
    for batch, is_last in _with_last(batches):
        engine.leases.demand(f"batch:{table}")
        marker = later(marker, capped(highest(batch, settings.marker_column), started))
        commit = BatchCommit(table, state.epoch, marker if is_last else None)
        report.add(engine.writer.write([batch], commit).tables.get(table))
        if engine.stop.is_set():
            return report
    report.position = marker
    return report


def _usable(marker: Position | None, column: str) -> Position | None:
    """A marker of another column says nothing of this one: then everything is read again."""
    return marker if marker is not None and marker["column"] == column else None


def _since(marker: Position | None, lookback: timedelta) -> datetime | None:
    if marker is None:
        return None
    at = time_of(marker)
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
