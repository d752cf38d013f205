"""Keeps ``sync_runs``: what each run did to each table."""

from __future__ import annotations

from psycopg.types.json import Jsonb

from warp_resources.connectors.postgresql.session import Connection
from warp_resources.model.batches import TableReceipt
from warp_resources.model.positions import Position
from warp_resources.model.tables import TableId

_COUNT = """
insert into cartridge_warp_metadata.sync_runs as r
    (run_id, schema_name, table_name, mode, status, rows_written, rows_deleted, rows_rejected, bytes_transferred,
    end_position)
values (%(run)s, %(schema)s, %(table)s, %(mode)s, 'running', %(written)s, %(deleted)s, %(rejected)s, %(bytes)s,
    %(position)s)
on conflict (run_id, schema_name, table_name, mode) do update set
    rows_written = r.rows_written + excluded.rows_written,
    rows_deleted = r.rows_deleted + excluded.rows_deleted,
    rows_rejected = r.rows_rejected + excluded.rows_rejected,
    bytes_transferred = r.bytes_transferred + excluded.bytes_transferred,
    end_position = coalesce(excluded.end_position, r.end_position)
"""
_RECORD = """
insert into cartridge_warp_metadata.sync_runs as r
    (run_id, schema_name, table_name, mode, status, finished_at, start_position, end_position, error)
values (%(run)s, %(schema)s, %(table)s, %(mode)s, %(status)s,
    case when %(status)s <> 'running' then clock_timestamp() end, %(start)s, %(end)s, %(error)s)
on conflict (run_id, schema_name, table_name, mode) do update set
    status = excluded.status,
    finished_at = excluded.finished_at,
    start_position = coalesce(r.start_position, excluded.start_position),
    end_position = coalesce(excluded.end_position, r.end_position),
    error = excluded.error
"""
# The row of a whole schema (no table name) finishes those of its tables, which only counts have made.
_FINISH_TABLES = """
update cartridge_warp_metadata.sync_runs set status = %(status)s, finished_at = clock_timestamp(), error = %(error)s
where run_id = %(run)s and schema_name = %(schema)s and table_name <> '' and status = 'running'
"""


def count_rows(
    connection: Connection, run_id: str, table: TableId, mode: str, receipt: TableReceipt, position: Position | None
) -> None:
    """Add what a commit did to the run's row of the table."""
    connection.execute(
        _COUNT,
        {
            "run": run_id,
            "schema": table.schema,
            "table": table.name,
            "mode": mode,
            "written": receipt.rows_written,
            "deleted": receipt.rows_deleted,
            "rejected": receipt.rows_rejected,
            "bytes": receipt.byte_count,
            "position": _json(position),
        },
    )


def record_run(
    connection: Connection,
    run_id: str,
    table: TableId,
    mode: str,
    status: str,
    error: str | None,
    start: Position | None,
    end: Position | None,
) -> None:
    """Open, finish or fail a run's row."""
    parameters = {
        "run": run_id,
        "schema": table.schema,
        "table": table.name,
        "mode": mode,
        "status": status,
        "error": error,
        "start": _json(start),
        "end": _json(end),
    }
    connection.execute(_RECORD, parameters)
    if not table.name and status != "running":
        connection.execute(_FINISH_TABLES, parameters)


def _json(position: Position | None) -> Jsonb | None:
    return None if position is None else Jsonb(position)
