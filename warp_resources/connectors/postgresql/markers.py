"""Reads and moves the rows of ``sync_markers``: the streams' and the tables' own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from warp_resources.connectors.postgresql.merge import SEQUENCE, table_identifier
from warp_resources.connectors.postgresql.registry import is_stored, latest_schema
from warp_resources.connectors.postgresql.session import Connection
from warp_resources.errors import FencedOut, OperatorError
from warp_resources.model.positions import ChunkBasis, Position, StreamCommit, StreamState, TableState
from warp_resources.model.tables import TableId

STREAM, BATCH = "stream", "batch"

_OWN_ROW = "schema_name = %(schema)s and table_name = %(table)s and marker_type <> 'snapshot'"
_STREAM_ROW = "schema_name = %(schema)s and table_name = '' and marker_type = 'stream' and slice = ''"
_STREAM_COLUMNS = "position, sequence, epoch, updated_at"
_TABLE_COLUMNS = """
table_name, marker_type, sequence, epoch, schema_version, is_loaded, covered_from, position, updated_at,
stream_sequence, aside_position, aside_reason, aside_since
"""
_FENCE = f"""
update cartridge_warp_metadata.sync_markers
set position = %(position)s, sequence = sequence + 1, updated_at = clock_timestamp()
where {_STREAM_ROW} and epoch = %(epoch)s and sequence = %(sequence)s
returning sequence
"""
_START = f"""
insert into cartridge_warp_metadata.sync_markers as m (schema_name, table_name, marker_type, position, sequence, epoch)
values (%(schema)s, '', 'stream', %(position)s, 1, 1)
on conflict (schema_name, table_name, marker_type, slice) do update
set position = excluded.position, sequence = m.sequence + 1, epoch = m.epoch + 1, updated_at = clock_timestamp()
where %(epoch)s::bigint is null or (m.epoch = %(epoch)s and m.sequence = %(sequence)s)
returning {_STREAM_COLUMNS}
"""
_SEIZE_STREAM = f"""
update cartridge_warp_metadata.sync_markers set epoch = epoch + 1, updated_at = clock_timestamp()
where {_STREAM_ROW} returning {_STREAM_COLUMNS}
"""
_TABLES = f"""
select {_TABLE_COLUMNS} from cartridge_warp_metadata.sync_markers
where schema_name = %(schema)s and table_name <> '' and marker_type <> 'snapshot'
"""
# Status is read before metadata of an earlier version is migrated: there the columns are not yet.
_READ = """
select m.table_name, m.marker_type, m.sequence, m.epoch, m.schema_version, m.is_loaded, m.covered_from, m.position,
    m.updated_at, m.stream_sequence, nullif(to_jsonb(m) -> 'aside_position', 'null') as aside_position,
    to_jsonb(m) ->> 'aside_reason' as aside_reason, (to_jsonb(m) ->> 'aside_since')::timestamptz as aside_since
from cartridge_warp_metadata.sync_markers as m
where schema_name = %(schema)s and table_name <> '' and marker_type <> 'snapshot'
"""
_LOCK = _TABLES + " and table_name = any(%(tables)s) order by table_name for update"
_ADD = """
insert into cartridge_warp_metadata.sync_markers (schema_name, table_name, marker_type, sequence)
values (%(schema)s, %(table)s, %(mode)s, %(sequence)s) on conflict do nothing
"""
_BASIS = f"""
select m.sequence, m.marker_type, m.aside_position, (
    select position from cartridge_warp_metadata.sync_markers where {_STREAM_ROW}
) as stream_position
from cartridge_warp_metadata.sync_markers as m where m.schema_name = %(schema)s and m.table_name = %(table)s
and m.marker_type <> 'snapshot'
"""
_ADVANCE = f"""
update cartridge_warp_metadata.sync_markers
set sequence = %(sequence)s, marker_type = %(mode)s, schema_version = %(version)s,
    stream_sequence = %(stream_sequence)s, position = coalesce(%(position)s, position), updated_at = clock_timestamp()
where {_OWN_ROW}
"""
_SEIZE = f"""
update cartridge_warp_metadata.sync_markers set epoch = epoch + 1, marker_type = %(mode)s,
    updated_at = clock_timestamp()
where {_OWN_ROW} returning {_TABLE_COLUMNS}
"""
_FORSAKE = f"""
update cartridge_warp_metadata.sync_markers set is_loaded = false, covered_from = null, position = null,
    aside_position = null, aside_reason = null, aside_since = null
where {_OWN_ROW}
"""
_COVER = f"""
update cartridge_warp_metadata.sync_markers
set covered_from = %(covered)s, is_loaded = false, position = null, marker_type = 'stream',
    aside_position = null, aside_reason = null, aside_since = null, updated_at = clock_timestamp()
where {_OWN_ROW}
"""


@dataclass(frozen=True, slots=True)
class LockedRow:
    """A table's own row, locked until the transaction ends."""

    state: TableState
    stream_sequence: int


def stream_state(connection: Connection, schema: str) -> StreamState | None:
    row = connection.execute(
        f"select {_STREAM_COLUMNS} from cartridge_warp_metadata.sync_markers where {_STREAM_ROW}", {"schema": schema}
    ).fetchone()
    return None if row is None else StreamState(*row)


def start_stream(
    connection: Connection, schema: str, position: Position, fence: StreamCommit | None = None
) -> StreamState:
    """Make or move the stream's row, with a higher epoch and sequence; ``fence``: only if the row is still as it says.

    Raises:
        FencedOut: another writer has moved it since, or made it.
    """
    its = {"epoch": fence and fence.epoch, "sequence": fence and fence.sequence}
    row = connection.execute(_START, {"schema": schema, "position": Jsonb(position)} | its).fetchone()
    if row is None:
        raise FencedOut(
            "Another writer has started this stream or moved it, so it is not put at a new start",
            remedy="Let that process go on",
            schema=schema,
        )
    return _stream(row, schema)


def seize_stream(connection: Connection, schema: str) -> StreamState:
    """Raise the epoch of the stream's row."""
    return _stream(connection.execute(_SEIZE_STREAM, {"schema": schema}).fetchone(), schema)


def move_stream(connection: Connection, commit: StreamCommit) -> int:
    """The stream's fence: move its row, which locks it, or raise ``FencedOut``; its new sequence."""
    row = connection.execute(
        _FENCE,
        {
            "schema": commit.schema,
            "epoch": commit.epoch,
            "sequence": commit.sequence,
            "position": Jsonb(commit.position),
        },
    ).fetchone()
    if row is None:
        raise FencedOut(
            "Another writer has taken over this stream, so nothing of this batch was committed",
            remedy="Let that process go on, or stop it and start this one again",
            schema=commit.schema,
            epoch=commit.epoch,
            sequence=commit.sequence,
        )
    return int(row.sequence)


def table_states(connection: Connection, schema: str) -> dict[str, TableState]:
    """The tables' own rows, by source table name."""
    rows = connection.execute(_READ, {"schema": schema}).fetchall()
    return {row.table_name: _locked(schema, row).state for row in rows}


def lock_tables(connection: Connection, tables: Sequence[TableId], mode: str) -> dict[TableId, LockedRow]:
    """Lock the tables' own rows in name order, so that no two commits wait for each other; missing ones are made."""
    if not tables:
        return {}
    schema, names = tables[0].schema, sorted({table.name for table in tables})
    found = _lock(connection, schema, names)
    missing = [name for name in names if name not in found]
    if missing:
        for name in missing:
            _add(connection, TableId(schema, name), mode)
        found = _lock(connection, schema, names)
    return {TableId(schema, name): row for name, row in found.items()}


def chunk_basis(connection: Connection, table: TableId) -> ChunkBasis:
    """The table's sequence and its stream's position, of one instant."""
    row = connection.execute(_BASIS, {"schema": table.schema, "table": table.name}).fetchone()
    if row is None:
        raise OperatorError("The table has no marker yet", remedy="Open a generation first", table=table)
    if row.marker_type != STREAM:
        return ChunkBasis(row.sequence, None)
    return ChunkBasis(row.sequence, row.stream_position, row.aside_position)


def advance_table(
    connection: Connection,
    table: TableId,
    row: LockedRow,
    *,
    mode: str,
    version: int,
    stream_sequence: int,
    position: Position | None = None,
) -> None:
    """Give a locked row its next sequence and what else the commit changed."""
    connection.execute(
        _ADVANCE,
        {
            "schema": table.schema,
            "table": table.name,
            "sequence": row.state.sequence + 1,
            "mode": mode,
            "version": version,
            "stream_sequence": stream_sequence,
            "position": None if position is None else Jsonb(position),
        },
    )


def seize_table(connection: Connection, table: TableId, mode: str) -> TableState:
    """Raise the epoch of a table's row; one of another mode until now has to be read again."""
    known = lock_tables(connection, [table], mode)[table]
    if known.state.mode != mode:
        connection.execute(_FORSAKE, {"schema": table.schema, "table": table.name})
    row = connection.execute(_SEIZE, {"schema": table.schema, "table": table.name, "mode": mode}).fetchone()
    return _locked(table.schema, row).state


def set_coverage(connection: Connection, table: TableId, covered_from: Position | None) -> None:
    """Say from where the stream is complete for a table, if it is; the table has to be loaded again."""
    covered = None if covered_from is None else Jsonb(covered_from)
    connection.execute(_COVER, {"schema": table.schema, "table": table.name, "covered": covered})


def set_loaded(connection: Connection, table: TableId, position: Position | None = None) -> None:
    """Say that a table needs no first load; a batch table's marker is moved with it."""
    connection.execute(
        f"update cartridge_warp_metadata.sync_markers set is_loaded = true, updated_at = clock_timestamp(),"
        f" position = coalesce(%(position)s, position) where {_OWN_ROW}",
        {
            "schema": table.schema,
            "table": table.name,
            "position": None if position is None else Jsonb(position),
        },
    )


def set_unloaded(connection: Connection, table: TableId) -> None:
    """Say that a table has to be read whole before anything can be told of it."""
    connection.execute(
        f"update cartridge_warp_metadata.sync_markers set is_loaded = false where {_OWN_ROW}",
        {"schema": table.schema, "table": table.name},
    )


def _lock(connection: Connection, schema: str, names: list[str]) -> dict[str, LockedRow]:
    rows = connection.execute(_LOCK, {"schema": schema, "tables": names}).fetchall()
    return {row.table_name: _locked(schema, row) for row in rows}


def _add(connection: Connection, table: TableId, mode: str) -> None:
    """Make a table's row; its sequence starts above those that rows of the stored table carry already."""
    stored = latest_schema(connection, table)
    start = 0
    if stored is not None and is_stored(connection, stored):
        statement = sql.SQL("select max({}) from {}").format(sql.Identifier(SEQUENCE), table_identifier(stored))
        row = connection.execute(statement).fetchone()
        start = int(row[0] or 0) if row else 0
    connection.execute(_ADD, {"schema": table.schema, "table": table.name, "mode": mode, "sequence": start})


def _locked(schema: str, row: Any) -> LockedRow:
    fields = row._asdict()
    stream_sequence = fields.pop("stream_sequence")
    table = TableId(schema, fields.pop("table_name"))
    return LockedRow(TableState(table=table, mode=fields.pop("marker_type"), **fields), stream_sequence)


def _stream(row: Any, schema: str) -> StreamState:
    if row is None:
        raise OperatorError("The schema never streamed", remedy="Start its stream first", schema=schema)
    return StreamState(*row)
