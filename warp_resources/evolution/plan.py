"""Turns decisions about columns into the table's next schema, with the changes that lead there."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from warp_resources.arrow.keys import MIXED
from warp_resources.evolution.names import stored_names
from warp_resources.evolution.overflow import listed, made_overflow_column, overflow_column
from warp_resources.evolution.policy import Decision
from warp_resources.model.capabilities import Capabilities
from warp_resources.model.tables import ChangeKind, Column, ColumnType, Kind, SchemaChange, TableSchema

_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Plan:
    """A table's schema after a batch, and the steps from the known one to it."""

    schema: TableSchema
    changes: tuple[SchemaChange, ...]


def plan(
    basis: TableSchema,
    decisions: Sequence[Decision],
    capabilities: Capabilities,
    reserved: Collection[str] = (),
    overflow: Sequence[Decision] = (),
) -> Plan:
    """The schema that follows from the decisions, one version on if anything changes.

    Args:
        basis: the known schema; of version 0 where the table is not yet made.
        reserved: stored names that no column may take.
        overflow: decisions about fields that get no column.
    """
    made = _new_columns(basis, decisions, capabilities, reserved)
    if overflow and (made or basis.columns) and overflow_column(basis) is None:
        names = {*(column.name for column in made), *(decision.name for decision in overflow)}
        made = (*made, made_overflow_column(basis, names))
    altered = _altered_columns(decisions)
    columns = tuple(altered.get(column.name, column) for column in basis.columns) + made
    overflowed = listed(basis, overflow) if columns else basis.overflowed
    changes = (*_changes(basis, decisions, made, altered), *_overflow_changes(basis, overflowed))
    schema = replace(basis.with_columns(columns), version=basis.version + bool(changes), overflowed=overflowed)
    return Plan(schema, changes)


def _new_columns(
    basis: TableSchema, decisions: Sequence[Decision], capabilities: Capabilities, reserved: Collection[str]
) -> tuple[Column, ...]:
    new = [decision for decision in decisions if decision.known is None and decision.type is not None]
    taken = {*reserved, *(column.stored for column in basis.columns)}
    names = stored_names([decision.name for decision in new], taken, capabilities)
    return tuple(
        Column(decision.name, names[decision.name], decision.type, decision.family)
        for decision in new
        if decision.type is not None
    )


def _altered_columns(decisions: Sequence[Decision]) -> dict[str, Column]:
    altered = {}
    for decision in decisions:
        if decision.known is not None and decision.type is not None:
            is_array = decision.known.is_array and decision.type.kind is Kind.JSON
            after = replace(decision.known, type=decision.type, family=decision.family, is_array=is_array)
            if after != decision.known:
                altered[decision.name] = after
    return altered


def _changes(
    basis: TableSchema, decisions: Sequence[Decision], made: Sequence[Column], altered: dict[str, Column]
) -> tuple[SchemaChange, ...]:
    if basis.version == 0:
        return (SchemaChange(ChangeKind.CREATE_TABLE, reason="new table"),) if made else ()
    reasons = {decision.name: decision.reason for decision in decisions}
    reasons |= {its.name: "no room for more columns" for its in made if its.name not in reasons}
    added = [SchemaChange(ChangeKind.ADD_COLUMN, after=column, reason=reasons[column.name]) for column in made]
    before = {column.name: column for column in basis.columns}
    changed = [
        SchemaChange(_kind(before[name], after), after=after, before=before[name], reason=reasons[name])
        for name, after in altered.items()
    ]
    return (*added, *changed)


def _overflow_changes(basis: TableSchema, overflowed: Sequence[str]) -> tuple[SchemaChange, ...]:
    new = overflowed[len(basis.overflowed) :]
    if not new:
        return ()
    named = ", ".join(new[:_MOST_NAMED]) + (f" and {len(new) - _MOST_NAMED} more" if len(new) > _MOST_NAMED else "")
    return (SchemaChange(ChangeKind.OVERFLOW, reason=f"no room for more columns: {named}"),)


def _kind(before: Column, after: Column) -> ChangeKind:
    if after.family == MIXED != before.family:
        return ChangeKind.KEY_TO_JSON
    return ChangeKind.BOUNDS if is_stored_alike(before.type, after.type) else ChangeKind.ALTER_TYPE


def is_stored_alike(before: ColumnType, after: ColumnType) -> bool:
    """Whether a change from one type to the other leaves the stored column as it is."""
    return (before.kind, before.precision, before.scale) == (after.kind, after.precision, after.scale)
