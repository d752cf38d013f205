"""Reads whole tables, or slices of them, again: the full resync, resumable and beside the stream."""

from __future__ import annotations

from collections.abc import Collection

from warp_resources.connectors.interfaces import Destination
from warp_resources.errors import OperatorError
from warp_resources.model.positions import GenerationState
from warp_resources.model.tables import TableId
from warp_resources.pipeline.batch import sync_table
from warp_resources.pipeline.engine import STREAM, Engine
from warp_resources.pipeline.report import SyncReport
from warp_resources.pipeline.shares import slices_of
from warp_resources.pipeline.snapshot import (
    OnChunk,
    ignore_chunk,
    open_generation,
    partition_count,
    planned_slices,
    read_generation,
)

HELD_ELSEWHERE_SECONDS = 0.5
SNAPSHOT = "snapshot"
"""The mode under which runs count what they read beside a stream."""


def resync_table(
    engine: Engine,
    name: str,
    generation: str,
    *,
    slices: Collection[str] | None = None,
    of: Collection[str] | None = None,
    on_chunk: OnChunk = ignore_chunk,
) -> SyncReport:
    """Read a table again and, once all its slices are read in this generation, remove what is stale.

    Args:
        generation: names the reading; the same name takes up where it stopped.
        slices: only these partitions (``slice-00``, ...) of a stream table; None means all, and waits for those
            read elsewhere. A partition may be several slices of the plan, or none: see ``shares``.
        of: the partitions that the generation has, if it is new; None means all. Stale rows are found
            by a generation that has all.
        on_chunk: told of each committed chunk.

    Raises:
        LeaseHeld: a batch table that another process is at.
        OperatorError: a stream table that its stream does not cover yet.
    """
    if engine.unit.mode != STREAM:
        return sync_table(engine, name, full_resync=True, generation=generation, on_chunk=on_chunk)
    table = engine.table(name)
    demand_coverage(engine.destination, table)
    report = SyncReport(table)
    planned = planned_slices(engine, table)
    count = partition_count(engine, table)
    wanted = planned if of is None else slices_of(of, count, planned)
    only = None if slices is None else slices_of(slices, count, planned)
    if not wanted or (only is not None and not set(only).intersection(wanted)):
        return report
    current: GenerationState | None = open_generation(engine, table, generation, tuple(wanted))
    while current is not None and not engine.stop.is_set():
        for chunk in read_generation(engine, current, only=only):
            report.rows_written += chunk.rows
            report.byte_count += chunk.byte_count
            on_chunk(chunk)
        current = _unfinished(engine, current, only)
        if current is not None:
            engine.stop.wait(HELD_ELSEWHERE_SECONDS)
    engine.destination.record_run(engine.run_id, table, SNAPSHOT, "stopped" if engine.stop.is_set() else "success")
    return report


def _unfinished(engine: Engine, generation: GenerationState, slices: Collection[str] | None) -> GenerationState | None:
    for found in engine.destination.generations(generation.table.schema):
        if (found.table, found.generation) == (generation.table, generation.generation):
            wanted = [part for part in found.slices if slices is None or part.name in slices]
            return None if slices is not None and all(part.is_done for part in wanted) else found
    return None


def demand_coverage(destination: Destination, table: TableId) -> None:
    """Refuse a table that its stream does not cover: changes during the reading would be missed.

    Raises:
        OperatorError: with the command that covers it.
    """
    state = destination.table_states(table.schema).get(table.name)
    if state is None or state.covered_from is None:
        raise OperatorError(
            "The stream does not cover this table yet",
            remedy=f"Start it once: cartridge-warp run --once --schema {table.schema}",
            table=table,
        )
