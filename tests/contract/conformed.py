"""Builds conformed batches by hand, as the pipeline would, for the contract of destinations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from warp_resources.arrow.types import arrow_type
from warp_resources.model.batches import ConformedBatch, ConformedTable, DeadLetter
from warp_resources.model.positions import Commit, StreamCommit, StreamState
from warp_resources.model.tables import ChangeKind, Column, ColumnType, Kind, SchemaChange, TableId, TableSchema

INT, TEXT = ColumnType(Kind.INT64, exact=True), ColumnType(Kind.TEXT)
KEY = Column("id", "id", INT, family="number")
NAME = Column("name", "name", TEXT)


def first_schema(table: TableId, *columns: Column) -> TableSchema:
    """Version 1 of a table with the key ``id``."""
    return TableSchema(table, table.schema, table.name, (KEY, *(columns or (NAME,))), ("id",), version=1)


def creation() -> tuple[SchemaChange, ...]:
    """The change that makes a table, with all columns of its first schema."""
    return (SchemaChange(ChangeKind.CREATE_TABLE, reason="new table"),)


def changed(schema: TableSchema, *changes: SchemaChange) -> TableSchema:
    """The next version of a schema."""
    columns = {column.name: column for column in schema.columns}
    columns |= {change.after.name: change.after for change in changes if change.after is not None}
    return replace(schema, columns=tuple(columns.values()), version=schema.version + 1)


def rows_of(schema: TableSchema, rows: Sequence[dict[str, Any]]) -> pa.RecordBatch:
    """The columns that occur in the rows."""
    names = {name for row in rows for name in row} | {"id"}
    columns = [column for column in schema.columns if column.name in names]
    arrays = [pa.array([row.get(column.name) for row in rows], arrow_type(column.type)) for column in columns]
    return pa.RecordBatch.from_arrays(arrays, names=[column.stored for column in columns])


def part(
    schema: TableSchema,
    rows: Sequence[dict[str, Any]] = (),
    deletes: Sequence[Any] = (),
    *,
    changes: tuple[SchemaChange, ...] = (),
    letters: Iterable[DeadLetter] = (),
) -> ConformedTable:
    """One table's part of a commit; keys are integers and their texts are their digits."""
    gone = rows_of(schema, [{"id": key} for key in deletes]) if deletes else None
    return ConformedTable(
        schema=schema,
        based_on=schema.version - (1 if changes else 0),
        changes=changes,
        rows=rows_of(schema, rows),
        deletes=gone,
        row_keys=lambda: pa.array([str(row["id"]) for row in rows], pa.string()),
        delete_keys=lambda: pa.array([str(key) for key in deletes], pa.string()),
        dead_letters=tuple(letters),
    )


def batch(commit: Commit, *parts: ConformedTable, run_id: str = "run-1") -> ConformedBatch:
    return ConformedBatch(parts, commit, run_id)


def moved(schema: str, state: StreamState, position: dict[str, object] | None = None) -> StreamCommit:
    """A commit that is built on a stream's state."""
    return StreamCommit(schema, state.epoch, state.sequence, position or state.position)


def letter(table: TableId, key: int, column: str | None) -> DeadLetter:
    return DeadLetter(
        table=table,
        primary_key=f'{{"id": {key}}}',
        operation="upsert",
        reason="type_conflict",
        column=column,
        record=f'{{"id": {key}}}',
        encoding="extended_json",
        key_text=str(key),
    )
