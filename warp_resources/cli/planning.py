"""The command ``plan``, also ``run --dry-run``: what a run would create, alter and copy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer

from warp_resources.cli.configuring import Json
from warp_resources.cli.console import bytes_text, note, show_json
from warp_resources.cli.naming import (
    chosen_schemas,
    missing_tables,
    missing_text,
    named_tables,
    schemas_having,
    stored_schemas,
)
from warp_resources.cli.state import State
from warp_resources.config import WarpConfig
from warp_resources.connectors.interfaces import Destination, Source
from warp_resources.evolution.names import OVERFLOW_COLUMN
from warp_resources.model.tables import ChangeKind, SchemaChange, TableSchema
from warp_resources.model.work import WorkEstimate, WorkLine
from warp_resources.pipeline.dry_run import TablePlan, plan_unit
from warp_resources.pipeline.engine import check_source, units
from warp_resources.pipeline.options import open_destination, open_source
from warp_resources.pipeline.workload import workload_of


def plan(
    context: typer.Context,
    schema: Annotated[list[str] | None, typer.Option(help="Only these schemas.")] = None,
    table: Annotated[list[str] | None, typer.Option(help="Only these source tables.")] = None,
    as_json: Json = False,
) -> None:
    """Show what would be created, altered and copied, by a sample of each table; writes nothing anywhere."""
    state: State = context.obj
    show_plan(state.load(), schema or state.schema_names(), table or (), as_json=as_json)


def show_plan(config: WarpConfig, schemas: Sequence[str], tables: Sequence[str], *, as_json: bool = False) -> None:
    """Make the plan of the chosen schemas and show it."""
    source, destination = open_source(config), open_destination(config)
    try:
        names: Sequence[str] = chosen_schemas(config, schemas)
        destination.check(stored_schemas(config, names))
        if tables:
            names = schemas_having(named_tables(config, names, tables, source), names)
        plans = [plan for name in names for plan in _plans(config, name, tuple(tables), source, destination)]
        loads = [workload_of(config, name, plans, destination.capabilities) for name in names]
        works = {its.schema: work for its in loads if (work := destination.estimate_work(its)) is not None}
    finally:
        source.close()
        destination.close()
    if as_json:
        show_json([_document(plan) | _work_document(works.get(plan.table.schema)) for plan in plans])
        return
    for one in plans:
        for line in _lines(one):
            typer.echo(line)
    for schema, work in works.items():
        typer.echo(f"{schema}, per day if every table changes all the time:")
        for part in work.lines:
            typer.echo(f"    {_work_text(part)}")
    typer.echo(_total(plans))


def _plans(
    config: WarpConfig, schema: str, tables: tuple[str, ...], source: Source, destination: Destination
) -> Iterator[TablePlan]:
    for unit in units(config, schema, tables):
        check_source(unit, source, known=bool(destination.table_states(schema)))
        yield from plan_unit(unit, source, destination)
    for missing, near in missing_tables(config, schema, source).items():
        note(missing_text(schema, missing, near))


def _lines(plan: TablePlan) -> Iterator[str]:
    known = f"about {plan.row_estimate:,} rows, {bytes_text(plan.byte_estimate)}"
    size = "an unknown number of rows" if plan.is_query else known
    work = f"copy {size}" if plan.first_load else f"follow changes only ({size})"
    stored = f" -> {plan.stored.stored_schema}.{plan.stored.stored_table}" if plan.stored else ""
    yield f"{plan.table}{stored} ({plan.mode}): {work}"
    if plan.stops:
        yield f"    the table would stop: {plan.stops}"
        return
    if plan.is_query:
        yield "    unknown: its rows are the result of a query, which a plan does not pay for"
        return
    if plan.stored is None:
        yield "    the sample has no row: the table is created when the first one comes"
        return
    changes = [line for change in plan.changes for line in _change_lines(plan.stored, change)]
    yield from (f"    {line}" for line in changes or ["the table stays as it is"])
    for discard in plan.discards:
        yield f"    {discard.column}: {discard.count} values of the sample would not arrive ({discard.action})"
    if plan.set_aside:
        yield f"    {plan.set_aside} of {plan.sampled} sampled rows have a value that would become a dead letter"


def _change_lines(schema: TableSchema, change: SchemaChange) -> Iterator[str]:
    if change.kind is ChangeKind.CREATE_TABLE:
        yield "create table"
        for column in schema.columns:
            key = " primary key" if column.name in schema.key else ""
            yield f"    add column {column.stored} {column.type}{key}"
        if schema.flag:
            yield f"    add column {schema.flag} bool, the flag of soft deletes"
    elif change.kind is ChangeKind.DELETION:
        yield f"deletes become {f'soft, flag {schema.flag}' if schema.is_soft else 'hard'}"
    elif change.after is not None and change.kind is ChangeKind.ADD_COLUMN:
        yield f"add column {change.after.stored} {change.after.type} ({change.reason})"
    elif change.kind is ChangeKind.OVERFLOW:
        yield f"keep fields in {OVERFLOW_COLUMN} ({change.reason})"
    elif change.after is not None and change.before is not None and change.kind is not ChangeKind.BOUNDS:
        yield f"alter column {change.after.stored} from {change.before.type} to {change.after.type} ({change.reason})"


def _total(plans: Sequence[TablePlan]) -> str:
    created = sum(change.kind is ChangeKind.CREATE_TABLE for plan in plans for change in plan.changes)
    altered = sum(bool(plan.changes) for plan in plans) - created
    rows = sum(plan.row_estimate for plan in plans if plan.first_load)
    stopped = sum(bool(plan.stops) for plan in plans)
    stopping = f"{stopped} would stop, " if stopped else ""
    queries = sum(plan.is_query for plan in plans)
    unknown = f" and {queries} unknown" if queries else ""
    tables = f"{created} to create, {altered} to alter{unknown}"
    return f"{tables}, {stopping}about {rows:,} rows to copy. Nothing was written."


def _work_text(part: WorkLine) -> str:
    note = f" ({part.note})" if part.note else ""
    if part.is_bytes:
        return f"{part.what}: {bytes_text(round(part.per_day))}{note}"
    share = f" of {part.limit_per_day:,.0f}" if part.limit_per_day is not None else ""
    return f"{part.what}: {part.per_day:,.0f}{share}{note}"


def _work_document(work: WorkEstimate | None) -> dict[str, Any]:
    """What the whole schema of a table asks for, where the destination limits or bills it."""
    return {} if work is None else {"schema_work_per_day": [asdict(part) for part in work.lines]}


def _document(plan: TablePlan) -> dict[str, Any]:
    return {
        "schema": plan.table.schema,
        "table": plan.table.name,
        "mode": plan.mode,
        "rows": None if plan.is_query else plan.row_estimate,
        "bytes": None if plan.is_query else plan.byte_estimate,
        "copy": plan.first_load,
        "changes": [_change_document(plan, change) for change in plan.changes],
        "sampled": plan.sampled,
        "set_aside": plan.set_aside,
        "discards": [{"column": its.column, "action": its.action, "count": its.count} for its in plan.discards],
        "stops": plan.stops or None,
    }


def _change_document(plan: TablePlan, change: SchemaChange) -> dict[str, Any]:
    document: dict[str, Any] = {"kind": str(change.kind), "reason": change.reason}
    if change.kind is ChangeKind.CREATE_TABLE and plan.stored is not None:
        document["columns"] = {column.stored: str(column.type) for column in plan.stored.columns}
    if change.after is not None:
        document |= {"column": change.after.stored, "type": str(change.after.type)}
    if change.before is not None:
        document["from"] = str(change.before.type)
    return document
