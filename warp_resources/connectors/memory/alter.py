"""Applies schema changes to stored rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from warp_resources.arrow.coerce import coerce
from warp_resources.arrow.keys import KeyType, key_text, key_values
from warp_resources.arrow.types import arrow_type
from warp_resources.connectors.memory.store import StoredTable
from warp_resources.errors import OperatorError
from warp_resources.evolution.losses import stored_negative_zeros
from warp_resources.model.batches import ErrorEntry, Variant
from warp_resources.model.tables import ChangeKind, Column, SchemaChange


def apply_changes(table: StoredTable, changes: Iterable[SchemaChange]) -> list[ErrorEntry]:
    """Bring the stored rows to the next version, and tell what that altered.

    Raises:
        OperatorError: a stored value has no place in the new type; the transaction must not commit.
    """
    errors: list[ErrorEntry] = []
    changes = tuple(changes)
    _rename(table, changes)
    for change in changes:
        if change.kind is ChangeKind.ADD_COLUMN:
            _set(table, _after(change), [None] * len(table.rows))
        elif change.kind is ChangeKind.ALTER_TYPE:
            errors += _convert(table, change)
        elif change.kind is ChangeKind.DELETION:
            _move_flag(table, change)
        elif change.kind is ChangeKind.KEY_TO_JSON:
            before = _before(change)
            variant = Variant(before.type, column_values(table, before), before.family)
            _set(table, _after(change), key_text(variant).to_pylist())
    return errors


def _rename(table: StoredTable, changes: Sequence[SchemaChange]) -> None:
    """Give columns other names, all at once, since two may swap theirs."""
    names = {_before(its).stored: _after(its).stored for its in changes if its.kind is ChangeKind.RENAME_COLUMN}
    if names:
        for key, row in list(table.rows.items()):
            values = {names.get(name, name): value for name, value in row.values.items()}
            table.rows[key] = replace(row, values=values)


def _after(change: SchemaChange) -> Column:
    if change.after is None:
        raise OperatorError("A schema change names no column", remedy="Report this as a bug", kind=change.kind)
    return change.after


def _before(change: SchemaChange) -> Column:
    if change.before is None:
        raise OperatorError("A schema change lacks its start", remedy="Report this as a bug", kind=change.kind)
    return change.before


def _set(table: StoredTable, column: Column, values: list[Any]) -> None:
    for (key, row), value in zip(list(table.rows.items()), values, strict=True):
        table.rows[key] = replace(row, values={**row.values, column.stored: value})


def _move_flag(table: StoredTable, change: SchemaChange) -> None:
    """Make or rename the column that marks deleted rows."""
    before = change.before.stored if change.before else ""
    for key, row in table.rows.items():
        values = dict(row.values)
        values[_after(change).stored] = values.pop(before, False)
        table.rows[key] = replace(row, values=values)


def column_values(table: StoredTable, column: Column) -> pa.Array:
    values = [row.values.get(column.stored) for row in table.rows.values()]
    return pa.array(values, arrow_type(column.type))


def _convert(table: StoredTable, change: SchemaChange) -> list[ErrorEntry]:
    before, after = _before(change), _after(change)
    stored = column_values(table, before)
    if before.family:
        # Of numbers that are keys the value counts, not the text.
        key = KeyType(after.type, after.family)
        coerced = key_values([Variant(before.type, stored, before.family)], key, len(table.rows))
    else:
        coerced = coerce(stored, before.type, after.type)
    if coerced.rejected.true_count:
        raise OperatorError(
            "Stored values do not fit the new type of their column",
            remedy="Set the column's type in the configuration to one that holds them",
            table=table.state.table,
            column=after.name,
            before=before.type,
            after=after.type,
        )
    _set(table, after, coerced.values.to_pylist())
    if not coerced.altered.true_count:
        return []
    return [stored_negative_zeros(table.state.table, after.name, coerced.altered.true_count)]
