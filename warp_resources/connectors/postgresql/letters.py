"""Appends dead letters and error entries of a commit, and looks up what is newer than a chunk."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from psycopg.types.json import Jsonb

from warp_resources.connectors.postgresql.session import Connection
from warp_resources.connectors.postgresql.watched import sending
from warp_resources.model.batches import DeadLetter, ErrorEntry
from warp_resources.model.positions import Position
from warp_resources.model.tables import TableId

_LETTER = """
insert into cartridge_warp_metadata.dead_letters
    (schema_name, table_name, primary_key, operation, position, reason, column_name, record, encoding, key_text,
    status, resolved_at, sequence, basis, run_id)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s,
    %s, case when %s then clock_timestamp() end, %s, %s, %s)
"""
_ERROR = """
insert into cartridge_warp_metadata.error_log
    (schema_name, table_name, column_name, error_type, severity, primary_key, message, action, run_id)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
_SUPERSEDE = """
update cartridge_warp_metadata.dead_letters set status = 'superseded', resolved_at = clock_timestamp()
where schema_name = %(schema)s and table_name = %(table)s and status = 'pending' and sequence <= %(until)s
    and hashtextextended(key_text, 0) in (select hashtextextended(k, 0) from unnest(%(keys)s::text[]) as k)
    and key_text = any(%(keys)s::text[]) and dead_letter_id <> all(%(kept)s::bigint[])
"""
_SUPERSEDE_UNSEEN = """
update cartridge_warp_metadata.dead_letters set status = 'superseded', resolved_at = clock_timestamp()
where schema_name = %s and table_name = %s and status = 'pending' and sequence <= %s and key_text is not null
"""
_NEWER_TOMBSTONES = """
select key_text from cartridge_warp_metadata.tombstones
where schema_name = %s and table_name = %s and sequence > %s
"""
_NEWER_LETTERS = """
select distinct key_text from cartridge_warp_metadata.dead_letters
where schema_name = %(schema)s and table_name = %(table)s and column_name is null and sequence > %(basis)s
    and status = 'pending' and basis > %(basis)s and key_text is not null
"""


@dataclass(frozen=True, slots=True)
class Origin:
    """The commit that letters come from; ``basis`` is its sequence, or what a chunk was read after."""

    sequence: int
    basis: int
    position: Position | None
    run_id: str


def add_letters(
    connection: Connection, letters: Sequence[DeadLetter], origin: Origin, outdated: Collection[str] = ()
) -> None:
    """Append dead letters; those whose key is in ``outdated`` are superseded from the start."""
    if not letters:
        return
    position = None if origin.position is None else Jsonb(origin.position)
    largest = max(len(letter.record) for letter in letters)
    with sending(connection, largest), connection.cursor() as cursor:
        cursor.executemany(_LETTER, [_letter(letter, position, origin, outdated) for letter in letters])


def supersede_letters(
    connection: Connection, table: TableId, keys: Sequence[str | None], until: int, kept: Sequence[int] = ()
) -> None:
    """Mark the pending letters, but ``kept``, of keys that are now written or deleted, up to a sequence."""
    if keys:
        parameters = {
            "schema": table.schema,
            "table": table.name,
            "keys": list(keys),
            "until": until,
            "kept": list(kept),
        }
        connection.execute(_SUPERSEDE, parameters)


def supersede_unseen(connection: Connection, table: TableId, until: int) -> None:
    """Mark the pending letters that a whole reading, which began after a sequence, did not tell of anew."""
    connection.execute(_SUPERSEDE_UNSEEN, [table.schema, table.name, until])


def add_errors(connection: Connection, errors: Sequence[ErrorEntry], run_id: str | None) -> None:
    """Append to ``error_log``."""
    if not errors:
        return
    with connection.cursor() as cursor:
        cursor.executemany(_ERROR, [_error(entry, run_id) for entry in errors])


def newer_tombstones(connection: Connection, table: TableId, basis: int) -> list[str]:
    """The keys deleted after a sequence, as canonical text."""
    rows = connection.execute(_NEWER_TOMBSTONES, [table.schema, table.name, basis]).fetchall()
    return [row.key_text for row in rows]


def newer_letters(connection: Connection, table: TableId, basis: int) -> list[str]:
    """The keys of rows that were quarantined whole after a sequence: what they hold is newer than any row of theirs."""
    parameters = {"schema": table.schema, "table": table.name, "basis": basis}
    return [row.key_text for row in connection.execute(_NEWER_LETTERS, parameters).fetchall()]


def _letter(letter: DeadLetter, position: Jsonb | None, origin: Origin, outdated: Collection[str]) -> list[object]:
    is_outdated = letter.key_text is not None and letter.key_text in outdated
    return [
        letter.table.schema,
        letter.table.name,
        letter.primary_key,
        letter.operation,
        position,
        letter.reason,
        letter.column,
        letter.record,
        letter.encoding,
        letter.key_text,
        "superseded" if is_outdated else "pending",
        is_outdated,
        origin.sequence,
        origin.basis,
        origin.run_id,
    ]


def _error(entry: ErrorEntry, run_id: str | None) -> list[object]:
    return [
        entry.table.schema,
        entry.table.name,
        entry.column,
        entry.error_type,
        entry.severity,
        entry.primary_key,
        entry.message,
        entry.action,
        run_id,
    ]
