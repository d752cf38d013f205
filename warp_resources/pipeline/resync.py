"""Reads whole tables, or slices of them, again: the full resync, resumable and beside the stream."""

from __future__ import annotations

from collections.abc import Collection

from warp_resources.errors import OperatorError
from warp_resources.model.positions import GenerationState
from warp_resources.model.tables import TableId
from warp_resources.pipeline.batch import sync_table
from warp_resources.pipeline.engine import STREAM, Engine
from warp_resources.pipeline.report import SyncReport
from warp_resources.pipeline.snapshot import OnChunk, ignore_chunk, open_generation, planned_slices, read_generation

HELD_ELSEWHERE_SECONDS = 0.5


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
        slices: only these (``slice-00``, ...); None means all, and waits for those read elsewhere.
        of: the slices that the generation has, if it is new; None means all. Stale rows are found
            by a generation that has all. Names that the table's plan does not have are passed over.
        on_chunk: told of each committed chunk.

    Raises:
        LeaseHeld: a batch table that another process is at.
        OperatorError: a stream table that its stream does not cover yet.
    """
    if engine.unit.mode != STREAM:
        return sync_table(engine, name, full_resync=True, on_chunk=on_chunk)
    table = engine.table(name)
    _refuse_uncovered(engine, table)
    report = SyncReport(table)
    planned = planned_slices(engine, table)
    wanted = planned if of is None else [name for name in planned if name in of]
    if not wanted or (slices is not None and not set(slices).intersection(wanted)):
        return report
    current: GenerationState | None = open_generation(engine, table, generation, tuple(wanted))
    while current is not None and not engine.stop.is_set():
        for chunk in read_generation(engine, current, only=slices):
            report.rows_written += chunk.rows
            report.byte_count += chunk.byte_count
            on_chunk(chunk)
        current = _unfinished(engine, current, slices)
        if current is not None:
            engine.stop.wait(HELD_ELSEWHERE_SECONDS)
    return report


def _unfinished(engine: Engine, generation: GenerationState, slices: Collection[str] | None) -> GenerationState | None:
    for found in engine.destination.generations(generation.table.schema):
        if (found.table, found.generation) == (generation.table, generation.generation):
            wanted = [part for part in found.slices if slices is None or part.name in slices]
            return None if slices is not None and all(part.is_done for part in wanted) else found
    return None


def _refuse_uncovered(engine: Engine, table: TableId) -> None:
    """A table must be covered by its stream before a chunk is read, or changes would be missed."""
    state = engine.destination.table_states(table.schema).get(table.name)
    if state is None or state.covered_from is None:
        raise OperatorError(
            "The stream does not cover this table yet",
            remedy=f"Start it once: cartridge-warp run --once --schema {table.schema}",
            table=table,
        )
