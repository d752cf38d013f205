"""Stages the rows and deletes of one table's part of a commit."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from warp_resources.connectors.postgresql.load import copy_into
from warp_resources.connectors.postgresql.merge import Target
from warp_resources.connectors.postgresql.physical import physical_rows, physical_schema
from warp_resources.connectors.postgresql.session import Connection
from warp_resources.connectors.postgresql.staging import Layout, StagingTable, StagingTables
from warp_resources.connectors.postgresql.types import staging_type
from warp_resources.errors import OperatorError
from warp_resources.model.batches import ConformedTable
from warp_resources.model.tables import Column, TableSchema


@dataclass(frozen=True, slots=True)
class Staged:
    """Rows in a staging table; its last column, ``c<extra>``, is the row's ordinal or the key's text."""

    table: StagingTable
    target: Target

    @property
    def extra(self) -> int:
        return len(self.target.columns)


def row_layout(part: ConformedTable) -> Layout:
    """The staging columns of a part's rows."""
    none = physical_rows(part.schema, part.rows.slice(0, 0))
    return (*(staging_type(column.type) for column in _columns(physical_schema(part.schema), none)), "integer")


def delete_layout(part: ConformedTable, deletes: pa.RecordBatch) -> Layout:
    """The staging columns of a part's deletes."""
    return (*(staging_type(column.type) for column in _columns(part.schema, deletes)), "text")


def stage_rows(
    connection: Connection, tables: StagingTables, table: StagingTable, part: ConformedTable, start: int, count: int
) -> Staged:
    """Copy ``count`` rows from ``start`` on, each with its ordinal."""
    ordinals = pa.array(range(start, start + count), pa.int32())
    schema, rows = physical_schema(part.schema), physical_rows(part.schema, part.rows.slice(start, count))
    _copy(connection, tables, table, rows, ordinals)
    return Staged(table, Target(schema, _columns(schema, rows), table.identifier))


def stage_deletes(
    connection: Connection,
    tables: StagingTables,
    table: StagingTable,
    part: ConformedTable,
    deletes: pa.RecordBatch,
) -> Staged:
    """Copy the keys to delete, each with its text."""
    _copy(connection, tables, table, deletes, part.delete_keys())
    return Staged(table, Target(part.schema, _columns(part.schema, deletes), table.identifier))


def _copy(
    connection: Connection, tables: StagingTables, table: StagingTable, rows: pa.RecordBatch, extra: pa.Array
) -> None:
    if not rows.num_rows:
        return
    names = [f"c{index}" for index in range(len(table.layout))]
    whole = pa.RecordBatch.from_arrays([*rows.columns, extra], names=names)
    copy_into(connection, table.identifier, names, table.layout, whole)
    tables.filled(table, rows.num_rows)


def _columns(schema: TableSchema, rows: pa.RecordBatch) -> tuple[Column, ...]:
    stored = {column.stored: column for column in schema.columns}
    unknown = [name for name in rows.schema.names if name not in stored]
    if unknown:
        raise OperatorError(
            "A batch brings columns that its schema lacks",
            remedy="Report it",
            table=schema.table,
            columns=unknown,
        )
    return tuple(stored[name] for name in rows.schema.names)
