"""Reads what others report of the tables: recent runs and slices, a few rows, sizes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pyarrow as pa
from psycopg import sql

from warp_resources.connectors.postgresql.conversions import temporary_functions
from warp_resources.connectors.postgresql.merge import is_live, table_identifier
from warp_resources.connectors.postgresql.physical import value_of
from warp_resources.connectors.postgresql.session import Connection
from warp_resources.model.reports import FinishedSlice, RunFigures
from warp_resources.model.tables import Kind, TableId, TableSchema

_FIGURES = """
select run_id, table_name, mode, status, rows_written, rows_deleted, rows_rejected, bytes_transferred, end_position,
    error
from cartridge_warp_metadata.sync_runs
"""
_RECENT = f"""{_FIGURES}
where schema_name = %(schema)s and (finished_at is null or finished_at > clock_timestamp() - %(within)s)
order by started_at
"""
_OF_RUN = f"{_FIGURES} where run_id = %(run)s and schema_name = %(schema)s order by started_at"
_SLICES = """
select table_name, generation, slice, updated_at from cartridge_warp_metadata.slices
where schema_name = %(schema)s and is_done and updated_at > clock_timestamp() - %(within)s
order by updated_at, table_name, slice
"""
# -1: never vacuumed nor analysed.
_ESTIMATE = """
select c.reltuples::bigint as rows from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
where n.nspname = %s and c.relname = %s
"""
_EXACT_BELOW = 100_000
_LONGEST_VALUE = 80
_TIMES = (Kind.TIMESTAMP_TZ, Kind.TIMESTAMP, Kind.DATE)
_SEARCH_MILLISECONDS = 3_000
# Never longer than the connection has it anyway.
_SEARCH_TIMEOUT = """
select set_config('statement_timeout', least(%s, setting::bigint)::text, true)
from pg_settings where name = 'statement_timeout'
"""


def recent_runs(connection: Connection, schema: str, within: timedelta) -> list[RunFigures]:
    """The runs of a schema's tables that go on or ended not long ago, oldest first."""
    rows = connection.execute(_RECENT, {"schema": schema, "within": within}).fetchall()
    return [_figures(schema, row) for row in rows]


def figures_of_run(connection: Connection, schema: str, run_id: str) -> list[RunFigures]:
    """What one run has done to each table."""
    rows = connection.execute(_OF_RUN, {"schema": schema, "run": run_id}).fetchall()
    return [_figures(schema, row) for row in rows]


def finished_slices(connection: Connection, schema: str, within: timedelta) -> list[FinishedSlice]:
    """The slices that were read to their end not long ago, in that order."""
    rows = connection.execute(_SLICES, {"schema": schema, "within": within}).fetchall()
    return [FinishedSlice(TableId(schema, row.table_name), row.generation, row.slice, row.updated_at) for row in rows]


def preview(connection: Connection, schema: TableSchema, limit: int) -> pa.Table:
    """Some rows as text, long values cut, under their stored names."""
    values = {column.stored: value_of(column) for column in schema.columns}
    if schema.flag:
        values[schema.flag] = sql.SQL("t.{}").format(sql.Identifier(schema.flag))
    if schema.rewritten:
        connection.execute(temporary_functions())
    # Numbered, since the names of two columns may be one as names of Python.
    columns = [
        sql.SQL("left({column}::text, {longest}) as {alias}").format(
            column=value, longest=sql.Literal(_LONGEST_VALUE), alias=sql.Identifier(f"column_{number}")
        )
        for number, value in enumerate(values.values())
    ]
    statement = sql.SQL("select {columns} from {table} as t limit {limit}").format(
        columns=sql.SQL(", ").join(columns), table=table_identifier(schema), limit=sql.Literal(limit)
    )
    rows = connection.execute(statement).fetchall()
    arrays = [pa.array([row[number] for row in rows], pa.string()) for number in range(len(values))]
    return pa.Table.from_arrays(arrays, names=list(values))


def row_count(connection: Connection, schema: TableSchema) -> int:
    """The rows of a table but those that are flagged as deleted."""
    statement = sql.SQL("select count(*) from {} as t").format(table_identifier(schema))
    if schema.flag:
        statement = sql.SQL("{} where {}").format(statement, is_live(schema))
    return int(connection.execute(statement).fetchall()[0][0])


def row_estimate(connection: Connection, schema: TableSchema) -> int:
    """The rows of a table: counted where they are few, else as the planner's statistics have it."""
    found = connection.execute(_ESTIMATE, [schema.stored_schema, schema.stored_table]).fetchone()
    if found is not None and found.rows >= _EXACT_BELOW:
        return int(found.rows)
    return row_count(connection, schema)


def earliest(connection: Connection, schema: TableSchema, name: str) -> datetime | None:
    """The smallest time in a column, None where it is no time, empty, being rewritten, or takes long to find."""
    column = schema.column(name)
    if column is None or column.type.kind not in _TIMES or column.rewrite is not None:
        return None
    # As microseconds: years that Python's dates do not have are possible here.
    statement = sql.SQL(
        "select (extract(epoch from min({column})) * 1000000)::bigint from {table} where isfinite({column})"
    ).format(column=sql.Identifier(column.stored), table=table_identifier(schema))
    try:
        with connection.transaction():
            connection.execute(_SEARCH_TIMEOUT, [_SEARCH_MILLISECONDS])
            row = connection.execute(statement).fetchone()
    except psycopg.errors.QueryCanceled:
        return None
    if row is None or row[0] is None:
        return None
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=row[0])
    except OverflowError:
        return None


def _figures(schema: str, row: Any) -> RunFigures:
    return RunFigures(
        run_id=row.run_id,
        table=TableId(schema, row.table_name),
        mode=row.mode,
        status=row.status,
        rows_written=row.rows_written,
        rows_deleted=row.rows_deleted,
        rows_rejected=row.rows_rejected,
        byte_count=row.bytes_transferred,
        position=row.end_position,
        error=row.error,
    )
