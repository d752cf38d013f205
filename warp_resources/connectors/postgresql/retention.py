"""Removes metadata rows whose time is over, a portion at a time."""

from __future__ import annotations

from datetime import timedelta

from warp_resources.connectors.postgresql.session import Connection, Session
from warp_resources.model.retention import RetentionPeriods

_LOCK = 4_771_310_292_883

# Rows that somebody holds are left for the next time: a commit never waits for this, nor this for a commit.
_ERRORS = """
with gone as (
    delete from cartridge_warp_metadata.error_log where error_id in (
        select error_id from cartridge_warp_metadata.error_log where occurred_at < clock_timestamp() - %(age)s
        order by occurred_at limit %(limit)s for update skip locked
    )
    returning schema_name, table_name, error_type, severity = 'warning' and column_name is not null as is_warning
), counted as (
    insert into cartridge_warp_metadata.removed_errors as r (schema_name, table_name, error_type, entries, warnings)
    select schema_name, table_name, error_type, count(*), count(*) filter (where is_warning)
    from gone group by schema_name, table_name, error_type
    on conflict (schema_name, table_name, error_type) do update set
        entries = r.entries + excluded.entries, warnings = r.warnings + excluded.warnings
)
select count(*) from gone
"""
_RUNS = """
with gone as (
    delete from cartridge_warp_metadata.sync_runs
    where (run_id, schema_name, table_name, mode) in (
        select run_id, schema_name, table_name, mode from cartridge_warp_metadata.sync_runs
        where status <> 'running' and finished_at < clock_timestamp() - %(age)s
            and started_at < clock_timestamp() - %(age)s
        order by started_at limit %(limit)s for update skip locked
    )
    returning schema_name, table_name, rows_written, rows_deleted, rows_rejected, bytes_transferred
), counted as (
    insert into cartridge_warp_metadata.removed_runs as r
        (schema_name, table_name, rows_written, rows_deleted, rows_rejected, bytes_transferred)
    select schema_name, table_name, sum(rows_written), sum(rows_deleted), sum(rows_rejected), sum(bytes_transferred)
    from gone group by schema_name, table_name
    on conflict (schema_name, table_name) do update set
        rows_written = r.rows_written + excluded.rows_written,
        rows_deleted = r.rows_deleted + excluded.rows_deleted,
        rows_rejected = r.rows_rejected + excluded.rows_rejected,
        bytes_transferred = r.bytes_transferred + excluded.bytes_transferred
)
select count(*) from gone
"""
# An open generation takes rows for stale, but for those whose letters say that it has come across them.
_LETTERS = """
with gone as (
    delete from cartridge_warp_metadata.dead_letters where dead_letter_id in (
        select dead_letter_id from cartridge_warp_metadata.dead_letters as l
        where status <> 'pending' and resolved_at < clock_timestamp() - %(age)s
            and not exists (
                select from cartridge_warp_metadata.generations as g
                where g.schema_name = l.schema_name and g.table_name = l.table_name and g.status = 'open'
            )
        order by resolved_at limit %(limit)s for update skip locked
    )
    returning 1
)
select count(*) from gone
"""
_DELETIONS = """
with gone as (
    delete from cartridge_warp_metadata.deletion_log where ctid = any(array(
        select ctid from cartridge_warp_metadata.deletion_log where deleted_at < clock_timestamp() - %(age)s
        limit %(limit)s for update skip locked
    ))
    returning 1
)
select count(*) from gone
"""


def remove_expired(session: Session, periods: RetentionPeriods, limit: int) -> int:
    """Remove a portion of each table, each in a transaction of its own; how many rows in all."""
    portions = (
        (_ERRORS, periods.error_log),
        (_RUNS, periods.sync_runs),
        (_LETTERS, periods.resolved_dead_letters),
        (_DELETIONS, periods.deletion_log),
    )
    removed = 0
    for statement, age in portions:
        with session.transaction() as connection:
            removed += _remove(connection, statement, age, limit)
    return removed


def _remove(connection: Connection, statement: str, age: timedelta, limit: int) -> int:
    """One portion; nothing where another process is at it."""
    [(is_alone,)] = connection.execute("select pg_try_advisory_xact_lock(%s)", [_LOCK]).fetchall()
    if not is_alone:
        return 0
    [(count,)] = connection.execute(statement.encode(), {"age": age, "limit": limit}).fetchall()
    return int(count)
