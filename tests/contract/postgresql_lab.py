"""Builds batches for a real PostgreSQL destination, and reads back what they left there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg
import pyarrow as pa
from psycopg import sql
from pydantic import SecretStr

from warp_resources.arrow.keys import compound, key_text
from warp_resources.arrow.types import arrow_type
from warp_resources.connectors.postgresql.destination import PostgresDestination
from warp_resources.connectors.postgresql.options import PostgresOptions
from warp_resources.model.batches import (
    ConformedBatch,
    ConformedTable,
    DeadLetter,
    ErrorEntry,
    Original,
    TableReceipt,
    Variant,
    WriteReceipt,
)
from warp_resources.model.positions import BatchCommit, ChunkCommit, Commit, KeyRange, StreamCommit, StreamState
from warp_resources.model.rules import NO_RULES, TableRules
from warp_resources.model.tables import ChangeKind, Column, ColumnType, Kind, SchemaChange, TableId, TableSchema

CREATE = (SchemaChange(ChangeKind.CREATE_TABLE),)
RUN = "run-1"
USERS = TableId("shop", "users")
Rows = Mapping[str, Sequence[object]]


def column(name: str, kind: Kind, *, family: str = "", **bounds: Any) -> Column:
    return Column(name, name, ColumnType(kind, **bounds), family)


def schema_of(*columns: Column, table: TableId = USERS, key: tuple[str, ...] = ("_id",)) -> TableSchema:
    return TableSchema(table, table.schema, table.name, columns, key, version=1)


def letter(table: TableId, key: str, name: str | None = None) -> DeadLetter:
    return DeadLetter(table, f'{{"_id": {key}}}', "insert", "test", name, "{}", "extended_json", key)


def conformed(
    schema: TableSchema,
    rows: Rows | None = None,
    *,
    deletes: Sequence[object] = (),
    changes: tuple[SchemaChange, ...] = (),
    letters: tuple[DeadLetter, ...] = (),
    errors: tuple[ErrorEntry, ...] = (),
    rules: TableRules = NO_RULES,
) -> ConformedTable:
    """A table's part of a commit: rows by stored column name, deletes by the value of a single key column."""
    written = _batch(schema, rows if rows is not None else {name: [] for name in schema.key})
    removed = _batch(schema, {schema.key[0]: deletes}) if deletes else None
    return ConformedTable(
        schema=schema,
        based_on=schema.version - 1 if changes else schema.version,
        changes=changes,
        rows=written,
        deletes=removed,
        row_keys=lambda: _keys(schema, written),
        delete_keys=lambda: _keys(schema, removed) if removed is not None else pa.array([], pa.string()),
        dead_letters=letters,
        errors=errors,
        byte_count=written.nbytes,
        original=lambda row: _original(schema, written, row),
        rules=rules,
    )


def _original(schema: TableSchema, rows: pa.RecordBatch, row: int) -> Original:
    record = rows.slice(row, 1).to_pylist()[0]
    key = {name: record[name] for name in schema.key}
    return Original(json.dumps(record, default=str), "extended_json", json.dumps(key, default=str))


def _batch(schema: TableSchema, rows: Rows) -> pa.RecordBatch:
    stored = {column.stored: column for column in schema.columns}
    arrays = [
        values if isinstance(values, pa.Array) else pa.array(values, arrow_type(stored[name].type))
        for name, values in rows.items()
    ]
    return pa.RecordBatch.from_arrays(arrays, names=list(rows))


def _keys(schema: TableSchema, rows: pa.RecordBatch) -> pa.Array:
    columns = [column for name in schema.key if (column := schema.column(name)) is not None]
    return compound([key_text(Variant(c.type, rows.column(c.stored), c.family)) for c in columns])


@dataclass
class Lab:
    """A destination with one schema ``shop`` that streams, and a connection beside it."""

    uri: str
    destination: PostgresDestination
    connection: psycopg.Connection[Any]
    stream: StreamState = field(init=False)

    @classmethod
    def open(cls, uri: str) -> Lab:
        destination = PostgresDestination(PostgresOptions(connection_string=SecretStr(uri)))
        destination.prepare()
        lab = cls(uri, destination, psycopg.connect(uri, autocommit=True))
        lab.connection.execute("set timezone to 'UTC'")
        lab.stream = destination.start_stream("shop", {"at": 0})
        return lab

    def close(self) -> None:
        self.destination.close()
        self.connection.close()

    def commit(self, part: ConformedTable | Sequence[ConformedTable], commit: Commit) -> WriteReceipt:
        parts = (part,) if isinstance(part, ConformedTable) else tuple(part)
        return self.destination.write(ConformedBatch(parts, commit, RUN))

    def write(self, *parts: ConformedTable) -> WriteReceipt:
        """A stream commit under the fence that holds."""
        receipt = self.commit(parts, self.stream_commit())
        assert receipt.stream_sequence is not None
        self.stream = replace(self.stream, sequence=receipt.stream_sequence)
        return receipt

    def stream_commit(self) -> StreamCommit:
        return StreamCommit("shop", self.stream.epoch, self.stream.sequence, {"at": self.stream.sequence})

    def receipt(self, part: ConformedTable) -> TableReceipt:
        return self.write(part).tables[part.schema.table]

    def batch_commit(self, part: ConformedTable) -> TableReceipt:
        table = part.schema.table
        state = self.destination.seize_table(table, "batch")
        return self.commit(part, BatchCommit(table, state.epoch, {"column": "at", "value": "1"})).tables[table]

    def rows(self, schema: TableSchema) -> list[tuple[Any, ...]]:
        """The stored values as text, in key order."""
        names = sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(c.stored)) for c in schema.columns)
        return self.connection.execute(
            sql.SQL("select {} from {} order by 1").format(
                names, sql.Identifier(schema.stored_schema, schema.stored_table)
            )
        ).fetchall()

    def metadata(self, what: str) -> list[tuple[Any, ...]]:
        """``select <what>`` in the metadata schema."""
        return self.connection.execute(f"select {what}".replace("@", "cartridge_warp_metadata.").encode()).fetchall()


def opened(uri: str) -> Iterator[Lab]:
    """What a fixture yields from."""
    lab = Lab.open(uri)
    yield lab
    lab.close()


@dataclass
class Reading:
    """An open generation of one slice, read chunk by chunk."""

    lab: Lab
    schema: TableSchema
    name: str
    epoch: int
    basis: int = 0

    @classmethod
    def open(cls, lab: Lab, schema: TableSchema, name: str = "generation-1") -> Reading:
        lab.destination.save_plan(schema.table, [KeyRange()])
        lab.destination.open_generation(schema.table, name)
        epoch, _ = lab.destination.seize_slice(schema.table, name, "slice-00")
        return cls(lab, schema, name, epoch)

    def begin(self) -> None:
        """Note the basis, as before a read."""
        self.basis = self.lab.destination.chunk_basis(self.schema.table).sequence

    def chunk(self, part: ConformedTable, *, resume: str | None = "x", is_done: bool = False) -> TableReceipt:
        commit = ChunkCommit(self.schema.table, self.name, "slice-00", self.epoch, self.basis, resume, is_done)
        return self.lab.commit(part, commit).tables[self.schema.table]

    def finish(self) -> int:
        """Close the slice with an empty chunk, then the generation."""
        self.begin()
        self.chunk(conformed(self.schema), is_done=True)
        return self.lab.destination.close_generation(self.schema.table, self.name, RUN)
