"""Compares versions of a table's schema, and plans the way back to one of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from warp_resources.arrow.lattice import INTEGERS
from warp_resources.errors import ConfigurationError
from warp_resources.model.tables import ChangeKind, Column, ColumnType, Kind, SchemaChange, TableSchema
from warp_resources.model.versions import ColumnStep, Rollback, SchemaVersion


@dataclass(frozen=True, slots=True)
class ColumnChange:
    """What became of one column: its stored name, the types before and after, and why; None is no column."""

    kind: str
    column: str
    before: str | None
    after: str | None
    reason: str = ""


def column_changes(version: SchemaVersion) -> Iterator[ColumnChange]:
    """The changes that led to a version, one for each column; a new table has all of its columns new."""
    for change in version.changes:
        if change.kind is ChangeKind.CREATE_TABLE:
            for column in version.schema.columns:
                yield ColumnChange(str(change.kind), column.stored, None, _text(column), change.reason)
        elif change.kind is ChangeKind.DELETION:
            yield _of_deletes(change, version.schema)
        else:
            yield _of_column(str(change.kind), change.before, change.after, change.reason)


def difference(earlier: TableSchema, later: TableSchema) -> list[ColumnChange]:
    """The columns in which two versions of a table differ."""
    before = {column.name: column for column in earlier.columns}
    after = {column.name: column for column in later.columns}
    names = dict.fromkeys([*before, *after])
    found = [
        _of_column(_kind(before.get(name), after.get(name)), before.get(name), after.get(name))
        for name in names
        if before.get(name) != after.get(name)
    ]
    if (earlier.flag, earlier.is_soft) != (later.flag, later.is_soft):
        found.append(ColumnChange("deletion", later.flag or earlier.flag, _deletes(earlier), _deletes(later)))
    return found


def version_of(versions: Sequence[SchemaVersion], number: int) -> SchemaVersion:
    """The version of that number.

    Raises:
        ConfigurationError: there is none.
    """
    for version in versions:
        if version.schema.version == number:
            return version
    there_are = f"versions 1 to {versions[-1].schema.version}" if versions else "no versions"
    raise ConfigurationError(f"The table has no version {number}", remedy=f"There are {there_are}")


def way_back(present: TableSchema, target: TableSchema) -> Rollback:
    """The types that differ from an earlier version; which values are in the way is not known yet."""
    earlier = {column.name: column for column in target.columns}
    steps, fixed = [], []
    for column in present.columns:
        was = earlier.get(column.name)
        if was is None or _stored_alike(was, column):
            continue
        is_json_text = was.type.kind is Kind.JSON and column.type.kind is Kind.TEXT
        if was.family != column.family or is_json_text:
            # JSON that became text cannot be told from what is text by itself, in a key or elsewhere.
            fixed.append(column)
        else:
            steps.append(ColumnStep(column, replace(column, type=_proved(column.type, was.type))))
    kept = tuple(column for column in present.columns if column.name not in earlier)
    return Rollback(present, target.version, tuple(steps), kept, tuple(fixed))


def rolled_back(rollback: Rollback) -> tuple[TableSchema, tuple[SchemaChange, ...]]:
    """The version that a rollback makes, and its changes: of the columns that can go back."""
    after = {step.after.name: step.after for step in rollback.possible}
    present = rollback.present
    columns = tuple(after.get(column.name, column) for column in present.columns)
    schema = replace(present.with_columns(columns), version=present.version + 1)
    reason = f"rolled back to version {rollback.target}"
    changes = [SchemaChange(ChangeKind.ALTER_TYPE, step.after, step.before, reason) for step in rollback.possible]
    return schema, tuple(changes)


def _stored_alike(one: Column, other: Column) -> bool:
    """Whether two columns have the same type but for what is proved of their values."""
    return replace(one.type, exact=False) == replace(other.type, exact=False) and one.family == other.family


def _proved(present: ColumnType, earlier: ColumnType) -> ColumnType:
    """An earlier type with what is proved of the values that are there now."""
    if earlier.kind not in INTEGERS or earlier.exact is False or present.kind is Kind.DOUBLE:
        return earlier
    return replace(earlier, exact=False)


def _of_column(kind: str, before: Column | None, after: Column | None, reason: str = "") -> ColumnChange:
    column = after or before
    name = column.stored if column else ""
    was = f"{before.stored}: " if before and after and before.stored != after.stored else ""
    return ColumnChange(
        kind, name, f"{was}{_text(before)}" if before else None, _text(after) if after else None, reason
    )


def _of_deletes(change: SchemaChange, schema: TableSchema) -> ColumnChange:
    before = f"flag {change.before.stored}" if change.before else "hard"
    return ColumnChange(str(change.kind), schema.flag, before, _deletes(schema), change.reason)


def _deletes(schema: TableSchema) -> str:
    return f"soft, flag {schema.flag}" if schema.is_soft else "hard"


def _kind(before: Column | None, after: Column | None) -> str:
    if before is None or after is None:
        return "add_column" if before is None else "gone"
    if before.stored != after.stored and _stored_alike(before, after):
        return "rename_column"
    is_same = _stored_alike(before, after) and before.is_array == after.is_array
    return "bounds" if is_same else "alter_type"


def _text(column: Column) -> str:
    """A type as people read it, with what else a change may be about."""
    family, array = f"{column.family} keys" if column.family else "", "array" if column.is_array else ""
    notes = [note for note in (_bounds(column.type), family, array) if note]
    return f"{column.type} ({', '.join(notes)})" if notes else str(column.type)


def _bounds(its: ColumnType) -> str:
    if its.unit:
        return its.unit
    return "exact in a double" if its.exact else ""
