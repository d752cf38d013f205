"""Counts what is in the way of a column's earlier type, and spells what bringing it back takes."""

from __future__ import annotations

from collections.abc import Iterable

from warp_resources.connectors.bigquery.conversions import temporary_functions
from warp_resources.connectors.bigquery.narrowing import retyped
from warp_resources.connectors.bigquery.session import Session, quoted
from warp_resources.connectors.bigquery.types import stored_type
from warp_resources.model.tables import TableSchema
from warp_resources.model.versions import ColumnStep


def refused(session: Session, schema: TableSchema, step: ColumnStep) -> int:
    """How many values of a step's column do not convert exactly, and back to what they were."""
    table = quoted(session.project, schema.stored_schema, schema.stored_table)
    value = f"T.{quoted(step.before.stored)}"
    expression = _expression(schema, step)
    statement = (
        f"{temporary_functions()}\nselect count(*) as refused from {table} as T"
        f" where {value} is not null and {expression} is null"
    )
    [row] = session.run(statement, kind="rollback")
    return int(row.refused)


def statement_of(schema: TableSchema, steps: Iterable[ColumnStep]) -> str:
    """What the steps come to, as BigQuery spells it; the functions of the conversions are left out."""
    table = quoted(schema.stored_schema, schema.stored_table)
    parts = []
    for number, step in enumerate(steps):
        name, new, old = step.before.stored, f"_warp_new_{number}", f"_warp_old_{number}"
        if stored_type(step.before.type) == stored_type(step.after.type):
            continue
        parts += [
            f"alter table {table} add column {quoted(new)} {stored_type(step.after.type)}",
            f"update {table} as T set {quoted(new)} = {_expression(schema, step)} where true",
            f"alter table {table} rename column {quoted(name)} to {quoted(old)},"
            f" rename column {quoted(new)} to {quoted(name)}",
            f"alter table {table} drop column {quoted(old)}",
        ]
    return ";\n".join(parts)


def _expression(schema: TableSchema, step: ColumnStep) -> str:
    value = f"T.{quoted(step.before.stored)}"
    return retyped(step.before.type, step.after.type, value, is_key=step.after.name in schema.key)
