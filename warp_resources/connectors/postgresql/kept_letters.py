"""Finds, counts and discards dead letters, and finds logged errors."""

from __future__ import annotations

from warp_resources.connectors.letter_rows import kept_error, kept_letter
from warp_resources.connectors.postgresql.markers import STREAM, lock_tables
from warp_resources.connectors.postgresql.session import Connection
from warp_resources.model.letters import (
    STATUSES,
    ErrorSelection,
    KeptError,
    KeptLetter,
    LetterCount,
    LetterSelection,
)
from warp_resources.model.tables import TableId

_COLUMNS = """
dead_letter_id, occurred_at, table_name, primary_key, operation, reason, column_name, encoding, key_text, status,
attempts, resolved_at, sequence, basis, run_id, {replays}, octet_length(record) as byte_count,
case when %(with_records)s then record else '' end as record
"""
_REPLAYS, _NO_REPLAYS = "last_error, retry_at", "null::text as last_error, null::timestamptz as retry_at"
# Metadata of an earlier version can be read, too.
_HAS_REPLAYS = """
select exists (
    select from pg_attribute where attrelid = 'cartridge_warp_metadata.dead_letters'::regclass and attname = 'retry_at'
)
"""
_STATUS = {status: f"status = '{status}'" for status in STATUSES}
_COUNT = """
select table_name, reason, status, count(*) as letters from cartridge_warp_metadata.dead_letters
where {condition} group by table_name, reason, status order by table_name, reason, status
"""
_TABLES = "select distinct table_name from cartridge_warp_metadata.dead_letters where {condition}"
_DISCARD = """
update cartridge_warp_metadata.dead_letters
set status = 'discarded', resolved_at = clock_timestamp(), retry_at = null
where {condition} and status = 'pending'
"""
_ERRORS = """
select error_id, occurred_at, table_name, column_name, error_type, severity, primary_key, message, action, run_id
from cartridge_warp_metadata.error_log where {condition} order by error_id desc limit %(limit)s
"""


def dead_letters(connection: Connection, selection: LetterSelection, *, with_records: bool) -> list[KeptLetter]:
    """The chosen letters in the order of their commits, or the reverse."""
    order = "dead_letter_id desc" if selection.newest_first else "table_name, sequence, dead_letter_id"
    [(has_replays,)] = connection.execute(_HAS_REPLAYS).fetchall()
    columns = _COLUMNS.format(replays=_REPLAYS if has_replays else _NO_REPLAYS)
    statement = (
        f"select {columns} from cartridge_warp_metadata.dead_letters where {_condition(selection)}"
        f" order by {order} limit %(limit)s"
    )
    parameters = {**_parameters(selection), "with_records": with_records}
    return [kept_letter(selection.schema, row) for row in connection.execute(statement.encode(), parameters).fetchall()]


def letter_counts(connection: Connection, selection: LetterSelection) -> list[LetterCount]:
    """How many of the chosen letters each table has, by reason and status."""
    statement = _COUNT.format(condition=_condition(selection))
    rows = connection.execute(statement.encode(), _parameters(selection)).fetchall()
    return [LetterCount(TableId(selection.schema, row.table_name), row.reason, row.status, row.letters) for row in rows]


def discard_letters(connection: Connection, selection: LetterSelection) -> int:
    """Say of the chosen letters that are pending that nobody wants them; how many.

    With their tables locked, as whoever settles letters has them.
    """
    condition, parameters = _condition(selection), _parameters(selection)
    found = connection.execute(_TABLES.format(condition=condition).encode(), parameters).fetchall()
    lock_tables(connection, [TableId(selection.schema, row.table_name) for row in found], STREAM)
    return connection.execute(_DISCARD.format(condition=condition).encode(), parameters).rowcount


def logged_errors(connection: Connection, selection: ErrorSelection) -> list[KeptError]:
    """The chosen rows of the log, newest first."""
    tests = ["schema_name = %(schema)s"]
    tests += ["table_name = %(table)s"] if selection.table is not None else []
    tests += ["error_type = %(error_type)s"] if selection.error_type is not None else []
    tests += ["occurred_at >= %(since)s"] if selection.since is not None else []
    parameters = {
        "schema": selection.schema,
        "table": selection.table,
        "error_type": selection.error_type,
        "since": selection.since,
        "limit": selection.limit,
    }
    rows = connection.execute(_ERRORS.format(condition=" and ".join(tests)).encode(), parameters).fetchall()
    return [kept_error(selection.schema, row) for row in rows]


def _condition(selection: LetterSelection) -> str:
    """Made of fixed parts, so that the planner sees which index fits."""
    its = selection
    tests = ["schema_name = %(schema)s"]
    tests += ["table_name = %(table)s"] if its.table is not None else []
    # A literal, since partial indexes are chosen by it.
    tests += [_STATUS[its.status]] if its.status is not None else []
    if len(its.reasons) == 1:
        tests.append("reason = %(reason)s")
    elif its.reasons:
        tests.append("reason = any(%(reasons)s)")
    tests += ["dead_letter_id = any(%(ids)s::bigint[])"] if its.ids else []
    if its.keys:
        tests.append(
            "hashtextextended(key_text, 0) in (select hashtextextended(k, 0) from unnest(%(keys)s::text[]) as k)"
            " and key_text = any(%(keys)s::text[])"
        )
    tests += ["(retry_at is null or retry_at <= clock_timestamp())"] if its.is_due else []
    tests += ["attempts < %(max_attempts)s"] if its.max_attempts is not None else []
    return " and ".join(tests)


def _parameters(selection: LetterSelection) -> dict[str, object]:
    return {
        "schema": selection.schema,
        "table": selection.table,
        "reason": selection.reasons[0] if selection.reasons else None,
        "reasons": list(selection.reasons),
        "ids": list(selection.ids),
        "keys": list(selection.keys),
        "max_attempts": selection.max_attempts,
        "limit": selection.limit,
    }
