"""Changes the control rows of a schema, with whatever goes into the same transaction, as often as it takes."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import TypeVar

from google.cloud.bigquery import ArrayQueryParameter, ScalarQueryParameter, StructQueryParameter
from pydantic import TypeAdapter

from warp_resources.connectors.bigquery.control import (
    Counts,
    Draft,
    Intent,
    control_name,
    create_control,
    fence_statement,
    move_statements,
    read_control,
)
from warp_resources.connectors.bigquery.errors import Collision, Refused
from warp_resources.connectors.bigquery.merge import literal
from warp_resources.connectors.bigquery.session import Parameter
from warp_resources.connectors.bigquery.views import show_schemas
from warp_resources.connectors.bigquery.warehouse import Warehouse
from warp_resources.model.batches import ErrorEntry
from warp_resources.model.tables import SchemaChange, TableSchema

Result = TypeVar("Result")

_EXISTS = 409
_LONGEST_PAUSE = 2.0
_EAGER_AFTER, _EAGER_PAUSE = 6, 0.3
"""Whoever has lost so often waits no longer than that, and so is ahead of those who come anew."""
SCHEMA_TEXT: TypeAdapter[TableSchema] = TypeAdapter(TableSchema)
CHANGES_TEXT: TypeAdapter[tuple[SchemaChange, ...]] = TypeAdapter(tuple[SchemaChange, ...])


@dataclass(frozen=True, slots=True)
class Work:
    """Statements for a transaction, between its fence and its moves of the control rows.

    ``variables``: integers that the statements set; their values are the answer. ``counts``: what they have counted
    for which control rows.
    """

    statements: str = ""
    parameters: tuple[Parameter, ...] = ()
    variables: tuple[str, ...] = ()
    counts: Mapping[tuple[str, str, str], Counts] = field(default_factory=dict)


NO_WORK = Work()


def change(warehouse: Warehouse, schema: str, decide: Callable[[Draft], Result], *, kind: str = "mark") -> Result:
    """Decide on the rows as they are, and commit that, unless somebody else was faster; then decide again."""
    return changed_with(warehouse, schema, lambda draft: (decide(draft), NO_WORK), kind=kind)[0]


def changed_with(
    warehouse: Warehouse, schema: str, decide: Callable[[Draft], tuple[Result, Work]], *, kind: str
) -> tuple[Result, dict[str, int]]:
    """Decide and commit as ``change`` does, with statements in the same transaction; the variables' values too.

    Raises:
        Collision: others were faster every time, for as long as a transaction may take.
    """
    ends = time.monotonic() + warehouse.session.job_timeout.total_seconds()
    for number in count():
        try:
            return _try(warehouse, schema, decide, kind)
        except Collision:
            if time.monotonic() > ends:
                raise
            time.sleep(random.uniform(0, _longest_pause(number)))
    raise AssertionError("there is always another number")


def _longest_pause(losses: int) -> float:
    return _EAGER_PAUSE if losses >= _EAGER_AFTER else min(_LONGEST_PAUSE, 0.05 * 2**losses)


def _try(
    warehouse: Warehouse, schema: str, decide: Callable[[Draft], tuple[Result, Work]], kind: str
) -> tuple[Result, dict[str, int]]:
    rows = read_control(warehouse.session, warehouse.metadata, schema)
    if not rows.revision:
        _begin(warehouse, schema)
        rows = read_control(warehouse.session, warehouse.metadata, schema)
    draft = Draft.of(rows)
    result, work = decide(draft)
    if not draft.is_changed and not work.statements:
        return result, {}
    return result, _commit(warehouse, schema, draft, work, kind)


def _begin(warehouse: Warehouse, schema: str) -> None:
    warehouse.make_own(schema)
    try:
        name = control_name(warehouse.session, warehouse.metadata, schema)
        warehouse.session.run(create_control(name), kind="prepare")
    except Refused as error:
        # Another process may have made it in the same moment, which the service may answer so.
        if error.facts.get("status") != _EXISTS:
            raise
    show_schemas(warehouse)


def _commit(warehouse: Warehouse, schema: str, draft: Draft, work: Work, kind: str) -> dict[str, int]:
    logs, log_parameters = _log_statements(warehouse, schema, draft)
    name = control_name(warehouse.session, warehouse.metadata, schema)
    moves, move_parameters = move_statements(name, draft, work.counts)
    declared = "".join(f"declare {variable} int64 default 0;\n" for variable in work.variables)
    answer = f"select {', '.join(work.variables)};" if work.variables else ""
    fence = fence_statement(name, draft)
    script = f"{declared}begin transaction;\n{fence}{work.statements}{logs}{moves}commit transaction;\n{answer}"
    rows = warehouse.session.run(script, [*work.parameters, *log_parameters, *move_parameters], kind=kind)
    return {variable: int(rows[0][number]) for number, variable in enumerate(work.variables)} if rows else {}


def _log_statements(warehouse: Warehouse, schema: str, draft: Draft) -> tuple[str, list[Parameter]]:
    statements, parameters = "", list[Parameter]()
    if draft.errors:
        numbers = draft.numbers(len(draft.errors))
        rows = [_error(number, *logged) for number, logged in zip(numbers, draft.errors, strict=True)]
        parameters.append(ArrayQueryParameter("errors", "STRUCT", rows))
        statements += f"""insert into {warehouse.log("error_log")} (error_id, occurred_at, schema_name, table_name,
    column_name, error_type, severity, primary_key, message, action, run_id)
select E.number, current_timestamp(), {literal(schema)}, E.table_name, E.column_name, E.error_type, E.severity,
    E.primary_key, E.message, E.action, E.run_id from unnest(@errors) as E;
"""
    if draft.versions:
        parameters.append(ArrayQueryParameter("versions", "STRUCT", [_version(its) for its in draft.versions]))
        statements += f"""insert into {warehouse.log("schema_registry")}
    (schema_name, table_name, version, columns, changes, applied_at, run_id, document)
select {literal(schema)}, V.table_name, V.version, parse_json(V.columns), parse_json(V.changes), current_timestamp(),
    V.run_id, V.document from unnest(@versions) as V;
"""
        names = [name for its in draft.versions for name in _names(its)]
        if names:
            parameters.append(ArrayQueryParameter("names", "STRUCT", names))
            statements += f"""insert into {warehouse.log("name_map")}
    (schema_name, table_name, column_name, stored_name, is_table)
select {literal(schema)}, N.table_name, N.column_name, N.stored_name, N.is_table from unnest(@names) as N;
"""
    return statements, parameters


def _error(number: int, entry: ErrorEntry, run_id: str) -> StructQueryParameter:
    texts = {
        "table_name": entry.table.name,
        "column_name": entry.column,
        "error_type": entry.error_type,
        "severity": entry.severity,
        "primary_key": entry.primary_key,
        "message": entry.message,
        "action": entry.action,
        "run_id": run_id,
    }
    return StructQueryParameter(None, ScalarQueryParameter("number", "INT64", number), *_texts(texts))


def _version(its: Intent) -> StructQueryParameter:
    document = SCHEMA_TEXT.dump_json(its.after, exclude_defaults=True).decode()
    texts = {
        "table_name": its.after.table.name,
        "columns": json.dumps(json.loads(document)["columns"]),
        "changes": CHANGES_TEXT.dump_json(its.changes, exclude_defaults=True).decode(),
        "run_id": its.run_id,
        "document": document,
    }
    return StructQueryParameter(None, ScalarQueryParameter("version", "INT64", its.after.version), *_texts(texts))


def _names(its: Intent) -> Iterable[StructQueryParameter]:
    table, known = its.after.table.name, its.before.columns if its.before is not None else ()
    changed = [(column.name, column.stored, False) for column in its.after.columns if column.stored != column.name]
    before = {(column.name, column.stored, False) for column in known}
    changed = [name for name in changed if name not in before]
    if its.before is None and its.after.stored_table != table:
        changed.append(("", its.after.stored_table, True))
    for column_name, stored_name, is_table in changed:
        texts = {"table_name": table, "column_name": column_name, "stored_name": stored_name}
        yield StructQueryParameter(None, ScalarQueryParameter("is_table", "BOOL", is_table), *_texts(texts))


def _texts(texts: Mapping[str, str | None]) -> list[ScalarQueryParameter]:
    return [ScalarQueryParameter(name, "STRING", value) for name, value in texts.items()]
