"""Reads the pending letters of keys that are replayed, and writes down what became of each."""

from __future__ import annotations

from warp_resources.connectors.postgresql.letters import Origin, add_errors, add_letters
from warp_resources.connectors.postgresql.session import Connection
from warp_resources.evolution.replays import Pending, Settlement
from warp_resources.model.positions import ReplayCommit

_PENDING = """
select dead_letter_id, key_text, column_name, reason, sequence, basis,
    sha256(convert_to(encoding || ' ' || record, 'UTF8')) as digest
from cartridge_warp_metadata.dead_letters
where schema_name = %(schema)s and table_name = %(table)s and status = 'pending'
"""
_OF_KEYS = (
    _PENDING
    + """
and hashtextextended(key_text, 0) in (select hashtextextended(k, 0) from unnest(%(keys)s::text[]) as k)
and key_text = any(%(keys)s::text[])
"""
)
_BY_NUMBER = _PENDING + "and dead_letter_id = any(%(failed)s::bigint[])"
_SETTLE = """
update cartridge_warp_metadata.dead_letters
set status = %(status)s, resolved_at = clock_timestamp(), retry_at = null, last_error = null,
    attempts = attempts + (%(status)s = 'replayed')::integer
where dead_letter_id = any(%(ids)s::bigint[])
"""
# Waits that double from five seconds to five minutes.
_FAIL = """
update cartridge_warp_metadata.dead_letters
set attempts = attempts + 1, last_error = %s,
    retry_at = clock_timestamp() + least(interval '5 minutes', interval '5 seconds' * 2 ^ least(attempts, 10))
where dead_letter_id = %s
"""


def pending_letters(connection: Connection, commit: ReplayCommit) -> list[Pending]:
    """All letters of the commit's keys that are still pending, and those that it could not try."""
    its = commit.table
    parameters = {"schema": its.schema, "table": its.name, "keys": list(commit.keys), "failed": list(commit.failed)}
    rows = connection.execute(_OF_KEYS, parameters).fetchall() if commit.keys else []
    known = {row.dead_letter_id for row in rows}
    if commit.failed:
        untried = connection.execute(_BY_NUMBER, parameters).fetchall()
        rows += [row for row in untried if row.dead_letter_id not in known]
    return [
        Pending(
            row.dead_letter_id, row.key_text, row.column_name, row.reason, row.sequence, row.basis, bytes(row.digest)
        )
        for row in rows
    ]


def record_verdict(connection: Connection, verdict: Settlement, run_id: str) -> None:
    """Write down what became of each letter, and what was lost for the first time."""
    for status, ids in (("replayed", verdict.replayed), ("superseded", verdict.superseded)):
        if ids:
            connection.execute(_SETTLE, {"status": status, "ids": list(ids)})
    if verdict.failed:
        with connection.cursor() as cursor:
            cursor.executemany(_FAIL, [(why, number) for number, why in sorted(verdict.failed.items())])
    for new in verdict.new:
        add_letters(connection, [new.letter], Origin(new.sequence, new.basis, None, run_id))
    add_errors(connection, verdict.errors, run_id)
