"""Gives columns the stored names that the configuration wants for them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from warp_resources.errors import TableFailure
from warp_resources.evolution.names import stored_names
from warp_resources.evolution.plan import Plan
from warp_resources.model.capabilities import Capabilities
from warp_resources.model.tables import ChangeKind, Column, SchemaChange, TableSchema


def with_names(
    planned: Plan, basis: TableSchema, names: Mapping[str, str], reserved: Collection[str], capabilities: Capabilities
) -> Plan:
    """The plan with columns called as is wanted: new ones from the start, established ones renamed first of all.

    A column whose type is being rewritten gets its name afterwards.

    Args:
        names: the wanted stored name of columns, by source name.
        reserved: stored names that no column may take.

    Raises:
        TableFailure: the destination cannot have a column of that name, or has another one of it.
    """
    schema = planned.schema
    due = {
        column.name: column
        for column in schema.columns
        if names.get(column.name, column.stored) != column.stored and column.rewrite is None
    }
    if not due:
        return planned
    columns = tuple(
        replace(column, stored=names[column.name]) if column.name in due else column for column in schema.columns
    )
    _refuse_collisions(schema, columns, due, reserved, capabilities)
    established = [column for column in basis.columns if column.name in due]
    renames = [
        SchemaChange(
            ChangeKind.RENAME_COLUMN, replace(column, stored=names[column.name]), column, "renamed in the configuration"
        )
        for column in established
    ]
    changes = (*renames, *(_renamed(change, names, due) for change in planned.changes))
    version = basis.version + bool(changes)
    return Plan(replace(schema.with_columns(columns), version=version), changes)


def _renamed(change: SchemaChange, names: Mapping[str, str], due: Collection[str]) -> SchemaChange:
    """A later step, which finds the column under its new name already."""
    if change.after is None or change.after.name not in due:
        return change
    stored = names[change.after.name]
    before = None if change.before is None else replace(change.before, stored=stored)
    return replace(change, after=replace(change.after, stored=stored), before=before)


def _refuse_collisions(
    schema: TableSchema,
    columns: Collection[Column],
    due: Collection[str],
    reserved: Collection[str],
    capabilities: Capabilities,
) -> None:
    for column in columns:
        if column.name not in due:
            continue
        taken = [*reserved, *(other.stored for other in columns if other.name != column.name)]
        if stored_names([column.stored], taken, capabilities)[column.stored] != column.stored:
            raise TableFailure(
                f"The column {column.name} cannot be renamed to {column.stored!r}: another column has that name,"
                " or the destination refuses it",
                remedy=f"Choose another name for columns.{column.name}.rename",
                table=schema.table,
                column=column.name,
            )
