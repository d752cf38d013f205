"""Fills tables by binary COPY."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pgpq
import psycopg
import pyarrow as pa
from pgpq.encoders import StringEncoderBuilder
from pgpq.schema import Jsonb
from psycopg import sql

from warp_resources.connectors.postgresql.session import Connection
from warp_resources.connectors.postgresql.table_failures import made_anew
from warp_resources.errors import TableFailure
from warp_resources.model.tables import TableSchema

_SLICE_BYTES = 4 * 2**20
_MOST_SLICE_ROWS = 50_000


def copy_into(
    connection: Connection, table: sql.Identifier, columns: Sequence[str], types: Sequence[str], rows: pa.RecordBatch
) -> None:
    """Append rows by binary COPY.

    Args:
        columns: the columns to fill, in the order of ``rows``.
        types: their PostgreSQL types. COPY checks none: bytes of another type of equal width land as nonsense.
    """
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    statement = sql.SQL("copy {} ({}) from stdin with (format binary)").format(table, names)
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for part in encoded(rows, types):
            copy.write(part)


def encoded(rows: pa.RecordBatch, types: Sequence[str]) -> Iterator[bytes]:
    """The rows as a binary COPY stream, in pieces of a few megabytes."""
    # Names of our own: the encoder keys its columns by name.
    rows = pa.RecordBatch.from_arrays(rows.columns, names=[f"c{index}" for index in range(rows.num_columns)])
    encoder = _encoder(rows.schema, types)
    header = encoder.write_header()
    for part in _slices(rows):
        yield header + encoder.write_batch(part)
        header = b""
    yield header + encoder.finish()


def verify_types(connection: Connection, schema: TableSchema, expected: dict[str, str]) -> None:
    """Prove that a table's columns have the types that a straight COPY or a comparison is about to assume.

    Raises:
        TableFailure: the table or a column is missing, or was altered by hand.
    """
    found = dict(
        connection.execute(
            # COPY reads a domain as the type that it is over, and checks it.
            "select a.attname::text, case when d.typtype = 'd' then format_type(d.typbasetype, d.typtypmod)"
            " else format_type(a.atttypid, a.atttypmod) end as type from pg_attribute as a"
            " join pg_class as c on c.oid = a.attrelid join pg_namespace as n on n.oid = c.relnamespace"
            " join pg_type as d on d.oid = a.atttypid"
            " where n.nspname = %s and c.relname = %s and a.attnum > 0 and not a.attisdropped",
            [schema.stored_schema, schema.stored_table],
        ).fetchall()
    )
    if not found:
        raise TableFailure(
            "The table was dropped in the destination", remedy=made_anew(schema.table), table=schema.table
        )
    for column, type_name in expected.items():
        if found.get(column) != type_name:
            raise TableFailure(
                "A column is not of the type that its registry entry says",
                remedy=f"Alter it back to {type_name}; or drop the table. {made_anew(schema.table)}",
                table=schema.table,
                column=column,
                found=found.get(column, "no such column"),
            )


def _encoder(schema: pa.Schema, types: Sequence[str]) -> pgpq.ArrowToPostgresBinaryEncoder:
    encoders = {
        field.name: StringEncoderBuilder.new_with_output(field, Jsonb())
        if name == "jsonb"
        else pgpq.ArrowToPostgresBinaryEncoder.infer_encoder(field)
        for field, name in zip(schema, types, strict=True)
    }
    return pgpq.ArrowToPostgresBinaryEncoder.new_with_encoders(schema, encoders)


def _slices(rows: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Slices of about equal bytes; a row is never divided."""
    count = rows.num_rows
    pieces = max(1, -(-rows.nbytes // _SLICE_BYTES), -(-count // _MOST_SLICE_ROWS))
    length = max(1, count // pieces)
    for start in range(0, count, length):
        yield rows.slice(start, length)


def is_duplicate(error: psycopg.Error) -> bool:
    """Whether a COPY failed because a row was there already."""
    return error.sqlstate == "23505"
