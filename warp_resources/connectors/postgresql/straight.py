"""Copies the chunks of a first load straight into the new table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import psycopg
import pyarrow as pa

from warp_resources.connectors.postgresql.load import copy_into, is_duplicate, verify_types
from warp_resources.connectors.postgresql.merge import SEQUENCE, SYNCED_AT, table_identifier
from warp_resources.connectors.postgresql.physical import physical_rows, physical_schema
from warp_resources.connectors.postgresql.session import Connection
from warp_resources.connectors.postgresql.types import is_straight, stored_type
from warp_resources.model.batches import ConformedTable
from warp_resources.model.positions import ChunkCommit

# Nothing but chunks of this one generation has touched the table since it opened, when the table was empty.
_MAY_COPY = """
select s.resume is not null as is_resumed from cartridge_warp_metadata.generations as g
join cartridge_warp_metadata.sync_markers as m on m.schema_name = g.schema_name and m.table_name = g.table_name
    and m.marker_type <> 'snapshot'
join cartridge_warp_metadata.slices as s on s.schema_name = g.schema_name and s.table_name = g.table_name
    and s.generation = g.generation and s.slice = %(slice)s
where g.schema_name = %(schema)s and g.table_name = %(table)s and g.generation = %(generation)s
    and g.status = 'open' and g.is_straight and m.stream_sequence <= g.first_sequence
    and not exists (
        select from cartridge_warp_metadata.generations as o
        where o.schema_name = g.schema_name and o.table_name = g.table_name and o.status = 'open'
            and o.generation <> g.generation
    )
"""


@dataclass(frozen=True, slots=True)
class StraightCopy:
    """How a chunk may enter: its first ``head`` rows by merge, since they may be there already, the rest by COPY."""

    head: int


def straight_copy(connection: Connection, part: ConformedTable, commit: ChunkCommit) -> StraightCopy | None:
    """Whether a chunk may be copied into its table; ask before staging, and again under the table's lock."""
    schema = physical_schema(part.schema)
    if not all(is_straight(column.type) for column in schema.columns) or not part.rows.num_rows:
        return None
    row = connection.execute(
        _MAY_COPY,
        {
            "schema": commit.table.schema,
            "table": commit.table.name,
            "generation": commit.generation,
            "slice": commit.slice,
        },
    ).fetchone()
    if row is None:
        return None
    # The row at the bound where the last chunk ended may come again.
    return StraightCopy(head=1 if row.is_resumed else 0)


def copy_tail(connection: Connection, part: ConformedTable, head: int, *, sequence: int) -> bool:
    """Copy the rows after the head; False, with nothing copied, where one of them is there already."""
    schema, rows = physical_schema(part.schema), physical_rows(part.schema, part.rows.slice(head))
    if not rows.num_rows:
        return True
    stored = {column.stored: stored_type(column.type) for column in schema.columns}
    stored |= {SEQUENCE: "bigint", SYNCED_AT: "timestamp with time zone"}
    columns = [*rows.schema.names, SEQUENCE, SYNCED_AT]
    verify_types(connection, schema, {name: stored[name] for name in columns})
    whole = _stamped(rows, sequence, _now(connection))
    try:
        with connection.transaction():
            types = [stored[name] for name in columns]
            copy_into(connection, table_identifier(schema), columns, types, whole)
    except psycopg.Error as error:
        if not is_duplicate(error):
            raise
        return False
    return True


def _stamped(rows: pa.RecordBatch, sequence: int, now: datetime) -> pa.RecordBatch:
    count = rows.num_rows
    stamps = [
        pa.repeat(pa.scalar(sequence, pa.int64()), count),
        pa.repeat(pa.scalar(now, pa.timestamp("us", "UTC")), count),
    ]
    return pa.RecordBatch.from_arrays([*rows.columns, *stamps], names=[f"c{i}" for i in range(rows.num_columns + 2)])


def _now(connection: Connection) -> datetime:
    row = connection.execute("select now() as instant").fetchone()
    if row is None:
        raise AssertionError("a select without a table gives one row")
    instant: datetime = row.instant
    return instant
