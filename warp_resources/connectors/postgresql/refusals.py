"""Tells why PostgreSQL refused a row, and accounts for rows that are set aside for it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import psycopg

from warp_resources.evolution.losses import UPSERT
from warp_resources.model.batches import ConformedTable, DeadLetter, ErrorEntry, Original
from warp_resources.model.tables import TableSchema

DELETE = "delete"
FOREIGN_KEY, UNIQUE, EXCLUSION, CHECK, NOT_NULL, REFUSED = (
    "foreign_key",
    "unique",
    "exclusion",
    "check",
    "not_null",
    "refused",
)
_REASONS = {
    "23001": FOREIGN_KEY,  # PostgreSQL 18 says so of ON DELETE RESTRICT
    "23502": NOT_NULL,
    "23503": FOREIGN_KEY,
    "23505": UNIQUE,
    "23514": CHECK,
    "23P01": EXCLUSION,
    "44000": CHECK,  # of a view
    "54000": REFUSED,  # an index entry, or a row, is too large
}
# Values, constraints, and what triggers raise: by default P0001 or, in other languages than PL/pgSQL, a code of 38.
_CLASSES = {"22", "23", "38", "P0"}
# Any other class is of the user's own choice.
_SERVERS = {
    *("00", "01", "02", "03", "08", "09", "0A", "0B", "0F", "0L", "0P", "0Z", "10", "20", "21", "24", "25", "26", "27"),
    *("28", "2B", "2D", "2F", "34", "39", "3B", "3D", "3F", "40", "42", "44", "53", "54", "55", "57", "58", "72"),
    *("F0", "HV", "XX"),
}
_NO_GRANT, _ROW_SECURITY = "42501", "row-level security"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a row was refused; ``where`` names the constraint, else the column or type, else it is empty."""

    reason: str
    where: str = ""

    @property
    def may_pass(self) -> bool:
        """Whether the row may be taken once other rows are written or gone."""
        return self.reason in (FOREIGN_KEY, UNIQUE, EXCLUSION)

    def __str__(self) -> str:
        return f"{self.reason} {self.where}".rstrip()


def refusal_of(error: BaseException | None) -> Refusal | None:
    """What a statement or a commit failed for, if that is the content of a row."""
    if not isinstance(error, psycopg.Error) or error.sqlstate is None:
        return None
    code, diag = error.sqlstate, error.diag
    if code == _NO_GRANT and f"violates {_ROW_SECURITY} policy" in (diag.message_primary or str(error)):
        return Refusal(REFUSED, _ROW_SECURITY)
    if code not in _REASONS and code[:2] not in _CLASSES and code[:2] in _SERVERS:
        return None
    return Refusal(_REASONS.get(code, REFUSED), diag.constraint_name or diag.column_name or diag.datatype_name or "")


def with_refusals(
    part: ConformedTable, rows: Sequence[tuple[int, Refusal]], deletes: Sequence[tuple[str, Refusal]]
) -> ConformedTable:
    """The part with a dead letter and an error entry for each row, and each deleted key, that was refused.

    Losses of single values of such a row are told by its whole record.
    """
    if not rows and not deletes:
        return part
    keys = part.row_keys() if rows else None
    told = [
        *(
            _account(part.schema, part.original(row), UPSERT, refusal, keys[row].as_py())
            for row, refusal in rows
            if keys is not None
        ),
        *(refused_delete(part.schema, key, refusal) for key, refusal in deletes),
    ]
    letters, entries = zip(*told, strict=True)
    refused = {letter.key_text for letter in letters}
    others = [letter for letter in part.dead_letters if letter.column is None or letter.key_text not in refused]
    return replace(part, dead_letters=(*others, *letters), errors=(*part.errors, *entries))


def refused_delete(schema: TableSchema, key: str, refusal: Refusal) -> tuple[DeadLetter, ErrorEntry]:
    """The account of one key, by its text, whose row stays although it is to go."""
    return _account(schema, _known(schema, key), DELETE, refusal, key)


def _account(
    schema: TableSchema, original: Original, operation: str, refusal: Refusal, key: str
) -> tuple[DeadLetter, ErrorEntry]:
    table = schema.table
    what = "its delete" if operation == DELETE else "the row"
    by = f" ({refusal.where})" if refusal.where else ""
    letter = DeadLetter(
        table=table,
        primary_key=original.primary_key,
        operation=operation,
        reason=refusal.reason,
        column=None,
        record=original.record,
        encoding=original.encoding,
        key_text=key,
    )
    entry = ErrorEntry(
        table=table,
        error_type=refusal.reason,
        message=f"The destination's own rules refuse {what}: {refusal.reason.replace('_', ' ')}{by}",
        action="delete set aside, the row stays" if operation == DELETE else "row set aside",
        primary_key=original.primary_key,
    )
    return letter, entry


def _known(schema: TableSchema, key: str) -> Original:
    """All that is known of a deleted row: its key, as a JSON object by source names."""
    values = [key] if len(schema.key) == 1 else list(_elements(key))
    pairs = ", ".join(f"{json.dumps(name)}: {value}" for name, value in zip(schema.key, values, strict=True))
    return Original(f"{{{pairs}}}", "extended_json", f"{{{pairs}}}")


def _elements(array: str) -> Iterable[str]:
    """The texts of the elements of a JSON array, so that no number is read and spelt anew."""
    return _texts(array.strip()[1:-1])


def _texts(inner: str) -> Iterator[str]:
    start, decoder = 0, json.JSONDecoder()
    while start < len(inner):
        _, end = decoder.raw_decode(inner, start)
        yield inner[start:end]
        start = end + 2  # ", "
