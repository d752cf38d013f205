"""Finds out what a run would create, alter and copy, from a sample of each table; writes nothing anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

from warp_resources.connectors.interfaces import Destination, ReadLimits, Source, SourceTable
from warp_resources.errors import TableFailure
from warp_resources.model.batches import ConformedTable, Discard, TableBatch
from warp_resources.model.positions import KeyRange, TableState
from warp_resources.model.tables import SchemaChange, TableId, TableSchema
from warp_resources.pipeline.conform import conform
from warp_resources.pipeline.engine import STREAM, Unit
from warp_resources.pipeline.preparation import prepared
from warp_resources.pipeline.rules import rules_of

SAMPLE_ROWS = 1_000


@dataclass(frozen=True, slots=True)
class TablePlan:
    """What would happen to one table; ``changes`` are those that the sample shows.

    ``first_load``: all of its rows would be copied. ``stored`` is the table as it would be afterwards,
    None where the sample has no row. ``stops``: why the table's contract would stop it, empty where it would not.
    ``is_query``: its rows are the result of a query that costs, so there is no sample, and no size either.
    """

    table: TableId
    mode: str
    row_estimate: int
    byte_estimate: int
    first_load: bool
    stored: TableSchema | None
    changes: tuple[SchemaChange, ...] = ()
    sampled: int = 0
    set_aside: int = 0
    discards: tuple[Discard, ...] = ()
    stops: str = ""
    is_query: bool = False


def plan_unit(unit: Unit, source: Source, destination: Destination) -> Iterator[TablePlan]:
    """The plan of each table that the unit's run is about, in name order. Call the ``check`` of both sides first."""
    known = destination.table_schemas(unit.schema)
    states = destination.table_states(unit.schema)
    for table in source.tables(unit.scope):
        if unit.is_chosen(table.name):
            yield _plan(unit, source, destination, table, known.get(table.name), states.get(table.name))


def _plan(
    unit: Unit,
    source: Source,
    destination: Destination,
    found: SourceTable,
    known: TableSchema | None,
    state: TableState | None,
) -> TablePlan:
    settings = unit.settings(found.name)
    is_new = state is None or not state.is_loaded or (unit.mode == STREAM and state.covered_from is None)
    plan = TablePlan(
        table=TableId(unit.schema, found.name),
        mode=unit.mode,
        row_estimate=found.row_estimate,
        byte_estimate=found.byte_estimate,
        first_load=is_new and (settings.full_load_enabled or unit.mode != STREAM),
        stored=known,
        is_query=found.is_query,
    )
    if plan.is_query:
        return plan
    limits = ReadLimits(SAMPLE_ROWS, unit.max_bytes)
    try:
        batch = source.read_chunk(unit.scope, found.name, KeyRange(), None, limits, None).batch
        if not batch.row_count:
            return plan
        plan = replace(plan, sampled=batch.row_count)
        conformed = _conformed(unit, source, destination, batch, known)
    except TableFailure as failure:
        return replace(plan, stops=str(failure))
    return replace(
        plan,
        stored=conformed.schema,
        changes=conformed.changes,
        set_aside=len(conformed.dead_letters),
        discards=conformed.discards,
    )


def _conformed(
    unit: Unit, source: Source, destination: Destination, batch: TableBatch, known: TableSchema | None
) -> ConformedTable:
    settings = unit.settings(batch.table.name)
    return conform(
        prepared(batch, settings, partial(source.redact, unit.scope)),
        known,
        stored_schema=settings.destination_schema,
        capabilities=destination.capabilities,
        rules=rules_of(settings, destination.array_columns(batch.table)),
    )
