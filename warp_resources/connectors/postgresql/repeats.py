"""Finds the losses of a commit that a pending dead letter tells of already."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from warp_resources.connectors.postgresql.letters import Origin
from warp_resources.connectors.postgresql.session import Connection
from warp_resources.model.batches import ConformedTable, DeadLetter, ErrorEntry

_PENDING = """
select dead_letter_id, key_text, column_name, reason, sha256(convert_to(record, 'UTF8')) as digest
from cartridge_warp_metadata.dead_letters
where schema_name = %(schema)s and table_name = %(table)s and status = 'pending'
"""
_OF_KEYS = (
    _PENDING
    + """
and hashtextextended(key_text, 0) in (select hashtextextended(k, 0) from unnest(%(keys)s::text[]) as k)
"""
)
_KEYLESS = _PENDING + "and hashtextextended(key_text, 0) is null"
# Renewed, since a reading takes the row of an older letter for one that it has not come across.
_RENEW = """
update cartridge_warp_metadata.dead_letters set sequence = %(sequence)s, basis = greatest(basis, %(basis)s)
where dead_letter_id = any(%(ids)s)
"""


@dataclass(frozen=True, slots=True)
class News:
    """What a commit has to tell: its letters and errors without those that are told already.

    ``renewed`` are the pending letters that stay in their place.
    """

    letters: Sequence[DeadLetter]
    errors: Sequence[ErrorEntry]
    renewed: Sequence[int] = ()

    @property
    def losses(self) -> list[ErrorEntry]:
        """The errors that go with the letters; the others are warnings of what was written."""
        places = {_place(letter) for letter in self.letters}
        return [entry for entry in self.errors if _told_of(entry) in places]


def news(connection: Connection, table: ConformedTable, origin: Origin) -> News:
    """Tell new losses from those that are pending, equal in key, column, reason and record; renew the latter."""
    pending = _pending(connection, table)
    renewed = {number for letter in table.dead_letters if (number := pending.get(_loss(letter))) is not None}
    if not renewed:
        return News(table.dead_letters, table.errors)
    connection.execute(_RENEW, {"ids": list(renewed), "sequence": origin.sequence, "basis": origin.basis})
    letters = [letter for letter in table.dead_letters if _loss(letter) not in pending]
    told = {_place(letter) for letter in table.dead_letters} - {_place(letter) for letter in letters}
    errors = [entry for entry in table.errors if _told_of(entry) not in told]
    return News(letters, errors, sorted(renewed))


def _pending(connection: Connection, table: ConformedTable) -> dict[tuple[object, ...], int]:
    if not table.dead_letters:
        return {}
    its = table.schema.table
    keys = {letter.key_text for letter in table.dead_letters}
    parameters = {"schema": its.schema, "table": its.name, "keys": [key for key in keys if key is not None]}
    rows = connection.execute(_OF_KEYS, parameters).fetchall() if parameters["keys"] else []
    rows += connection.execute(_KEYLESS, parameters).fetchall() if None in keys else []
    return {(row.key_text, row.column_name, row.reason, bytes(row.digest)): row.dead_letter_id for row in rows}


def _loss(letter: DeadLetter) -> tuple[object, ...]:
    return letter.key_text, letter.column, letter.reason, hashlib.sha256(letter.record.encode()).digest()


def _place(letter: DeadLetter) -> tuple[str | None, ...]:
    return letter.reason, letter.column, letter.primary_key


def _told_of(entry: ErrorEntry) -> tuple[str | None, ...]:
    return entry.error_type, entry.column, entry.primary_key
