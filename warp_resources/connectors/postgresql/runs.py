"""Keeps ``sync_runs``: what each run did to each table."""

from __future__ import annotations

from psycopg.types.json import Jsonb

from warp_resources.connectors.postgresql.markers import BATCH, STREAM
from warp_resources.connectors.postgresql.session import Connection
from warp_resources.model.batches import TableReceipt
from warp_resources.model.positions import Position
from warp_resources.model.tables import TableId

_RUNNING = "running"
_COUNT = """
insert into cartridge_warp_metadata.sync_runs as r
    (run_id, schema_name, table_name, mode, status, rows_written, rows_deleted, rows_rejected, bytes_transferred,
    end_position)
values (%(run)s, %(schema)s, %(table)s, %(mode)s, 'running', %(written)s, %(deleted)s, %(rejected)s, %(bytes)s,
    %(position)s)
on conflict (run_id, schema_name, table_name, mode) do update set
    status = excluded.status,
    finished_at = null,
    error = null,
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
# The row of a whole schema (no table name) finishes those of its tables, and a table's row those of the same table in
# other modes, such as its first load: only counts have made them.
_FINISH_TABLES = """
update cartridge_warp_metadata.sync_runs set status = %(status)s, finished_at = clock_timestamp(), error = %(error)s
where run_id = %(run)s and schema_name = %(schema)s and table_name <> '' and %(table)s in ('', table_name)
    and status = 'running'
"""
_INTERRUPT = """
update cartridge_warp_metadata.sync_runs as r set status = 'interrupted', finished_at = clock_timestamp()
where schema_name = %(schema)s and status = 'running' and run_id <> %(run)s and ({condition})
"""
_INTERRUPT_BATCH = _INTERRUPT.format(condition="table_name = %(table)s")
# A resync beside the stream is a run of its own, which may be at work: that shows in its open generation.
_INTERRUPT_STREAM = _INTERRUPT.format(
    condition="""
    mode = 'stream'
    or exists (
        select from cartridge_warp_metadata.sync_runs as w
        where w.run_id = r.run_id and w.schema_name = r.schema_name and w.table_name = '' and w.status = 'running'
    )
    or mode = 'snapshot' and not exists (
        select from cartridge_warp_metadata.generations as g
        where g.schema_name = r.schema_name and g.table_name = r.table_name and g.status = 'open'
    )
    """
)


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
    """Open, finish or fail a run's row.

    Whoever opens one holds the lease of the stream or the batch table: what others left running there is dead.
    """
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
    if status == _RUNNING and mode == BATCH and table.name:
        connection.execute(_INTERRUPT_BATCH.encode(), parameters)
    elif status == _RUNNING and mode == STREAM and not table.name:
        connection.execute(_INTERRUPT_STREAM.encode(), parameters)
    connection.execute(_RECORD, parameters)
    if status != _RUNNING:
        connection.execute(_FINISH_TABLES, parameters)


def _json(position: Position | None) -> Jsonb | None:
    return None if position is None else Jsonb(position)
