"""Turns what is wanted of deletes into a table's flag column: made, renamed, or left alone."""

from __future__ import annotations

from dataclasses import replace

from warp_resources.errors import TableFailure
from warp_resources.evolution.names import stored_names
from warp_resources.evolution.plan import Plan
from warp_resources.model.capabilities import Capabilities
from warp_resources.model.tables import ChangeKind, Column, ColumnType, Kind, SchemaChange, TableSchema

_REMEDY = "Set another soft_delete_column"


def reserved_names(basis: TableSchema, wanted: str) -> tuple[str, ...]:
    """The stored names that no column of the source may take: the flag's, as it is and as it is wanted."""
    return tuple(name for name in (basis.flag, wanted) if name)


def is_due(basis: TableSchema, wanted: str) -> bool:
    """Whether a table keeps its deletes in another way than is wanted; ``wanted`` is empty for hard deletes."""
    return (basis.is_soft, basis.flag) != (True, wanted) if wanted else basis.is_soft


def with_deletion(planned: Plan, basis: TableSchema, wanted: str, capabilities: Capabilities) -> Plan:
    """The plan with deletes kept as is wanted.

    A table that becomes hard again keeps its flag column, and with it the rows that are flagged.

    Raises:
        TableFailure: the table has a column of that name already, or the destination cannot have one.
    """
    schema = planned.schema
    if not is_due(basis, wanted) or not schema.columns:
        return planned
    if wanted:
        _refuse_collision(schema, wanted, capabilities)
    schema = replace(schema, flag=wanted or basis.flag, is_soft=bool(wanted))
    if basis.version == 0:
        return replace(planned, schema=schema)
    change = SchemaChange(
        ChangeKind.DELETION,
        before=_flag(basis.flag) if basis.flag else None,
        after=_flag(schema.flag),
        reason="deletes set the flag" if wanted else "deletes remove the row; the flag is kept",
    )
    return Plan(replace(schema, version=basis.version + 1), (*planned.changes, change))


def _flag(name: str) -> Column:
    return Column(name, name, ColumnType(Kind.BOOL))


def _refuse_collision(schema: TableSchema, wanted: str, capabilities: Capabilities) -> None:
    if stored_names([wanted], (), capabilities)[wanted] != wanted:
        raise TableFailure(
            f"The destination cannot have a column {wanted!r} for the flag of soft deletes",
            remedy=_REMEDY,
            table=schema.table,
        )
    taken = [column.stored for column in schema.columns]
    if stored_names([wanted], taken, capabilities)[wanted] != wanted:
        raise TableFailure(
            f"The table has a column {wanted!r} of the source's, so that cannot be the flag of soft deletes",
            remedy=_REMEDY,
            table=schema.table,
        )
