"""Turns decisions about columns into the table's next schema, with the changes that lead there."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from warp_resources.arrow.keys import MIXED
from warp_resources.errors import OperatorError
from warp_resources.evolution.names import stored_names
from warp_resources.evolution.policy import Decision
from warp_resources.model.capabilities import Capabilities
from warp_resources.model.tables import ChangeKind, Column, SchemaChange, TableSchema

# Our own columns, and room for a column that is being swapped for another.
SPARE_COLUMNS = 60


@dataclass(frozen=True, slots=True)
class Plan:
    """A table's schema after a batch, and the steps from the known one to it."""

    schema: TableSchema
    changes: tuple[SchemaChange, ...]


def plan(
    basis: TableSchema, decisions: Sequence[Decision], capabilities: Capabilities, reserved: Collection[str] = ()
) -> Plan:
    """The schema that follows from the decisions, one version on if anything changes.

    Args:
        basis: the known schema; of version 0 where the table is not yet made.
        reserved: stored names that no column may take.

    Raises:
        OperatorError: the table would have more columns than the destination can hold.
    """
    made = _new_columns(basis, decisions, capabilities, reserved)
    altered = _altered_columns(decisions)
    columns = tuple(altered.get(column.name, column) for column in basis.columns) + made
    _refuse_excess(basis, len(columns), capabilities)
    changes = _changes(basis, decisions, made, altered)
    schema = replace(basis.with_columns(columns), version=basis.version + bool(changes))
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
            after = replace(decision.known, type=decision.type, family=decision.family)
            if after != decision.known:
                altered[decision.name] = after
    return altered


def _changes(
    basis: TableSchema, decisions: Sequence[Decision], made: Sequence[Column], altered: dict[str, Column]
) -> tuple[SchemaChange, ...]:
    if basis.version == 0:
        return (SchemaChange(ChangeKind.CREATE_TABLE, reason="new table"),) if made else ()
    reasons = {decision.name: decision.reason for decision in decisions}
    added = [SchemaChange(ChangeKind.ADD_COLUMN, after=column, reason=reasons[column.name]) for column in made]
    before = {column.name: column for column in basis.columns}
    changed = [
        SchemaChange(_kind(before[name], after), after=after, before=before[name], reason=reasons[name])
        for name, after in altered.items()
    ]
    return (*added, *changed)


def _kind(before: Column, after: Column) -> ChangeKind:
    if after.family == MIXED != before.family:
        return ChangeKind.KEY_TO_JSON
    stored = (before.type.kind, before.type.precision, before.type.scale)
    is_stored_alike = stored == (after.type.kind, after.type.precision, after.type.scale)
    return ChangeKind.BOUNDS if is_stored_alike else ChangeKind.ALTER_TYPE


def _refuse_excess(basis: TableSchema, count: int, capabilities: Capabilities) -> None:
    limit = capabilities.max_columns - SPARE_COLUMNS
    if count > limit:
        raise OperatorError(
            f"The table would need {count} columns, and the destination holds {limit}",
            remedy="Drop fields with `columns: {<field>: {action: drop}}`, or nest them in one object at the source",
            table=basis.table,
            columns=count,
            limit=limit,
        )
