"""Accounts for what could not be stored as it was: a dead letter and an error entry for each value or row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from warp_resources.arrow.rows import row_numbers
from warp_resources.model.batches import DeadLetter, ErrorEntry, Flaw, Original
from warp_resources.model.tables import TableId

UPSERT = "upsert"

DRASTIC_CHANGE = "drastic_change"
CONVERSION = "conversion"
CHARACTER_REMOVED = "character_removed"
JSON_NUMBER = "json_number"
NEGATIVE_ZERO = "negative_zero"
NOT_AN_ARRAY = "not_an_array"
TOO_MANY_DIGITS = "too_many_digits"
TRUNCATION = "truncation"
DUPLICATE_KEY = "duplicate_key"
KEY_MISSING = "key_missing"
KEY_TOO_LONG = "key_too_long"
KEY_UNSTORABLE = "key_unstorable"
ROW_TOO_WIDE = "row_too_wide"
NEW_COLUMN_QUARANTINED = "new_column_quarantined"
TYPE_CHANGE_QUARANTINED = "type_change_quarantined"

_MESSAGES = {
    DRASTIC_CHANGE: "An object or array came for a scalar column",
    CONVERSION: "The value does not fit the type of its column",
    CHARACTER_REMOVED: "The value has a character that the destination cannot store",
    JSON_NUMBER: "The value has a number with more digits than JSON has in the destination",
    NEGATIVE_ZERO: "The column's type has no negative zero",
    NOT_AN_ARRAY: "The value is no array, and its column holds nothing else",
    TRUNCATION: "The value has more digits, or a time of day, than its column's declared type",
    TOO_MANY_DIGITS: "The number has more digits than the destination can store",
    DUPLICATE_KEY: "Another row of the source has the same key",
    KEY_MISSING: "The row has no key",
    KEY_TOO_LONG: "The row's key is longer than the destination can index",
    KEY_UNSTORABLE: "The row's key has a value that the destination cannot store",
    NEW_COLUMN_QUARANTINED: "The row brings a field that the table has no column for, and its contract takes none",
    TYPE_CHANGE_QUARANTINED: "The row has a value that does not fit its column, whose type the contract keeps",
    ROW_TOO_WIDE: "The row's many values take more room than the destination has for one row",
}
_ACTIONS = {
    CHARACTER_REMOVED: "character removed",
    JSON_NUMBER: "number stored as a string",
    NEGATIVE_ZERO: "stored as 0",
    TRUNCATION: "stored rounded",
}


@dataclass(frozen=True, slots=True)
class Loss:
    """The rows (a mask) whose value in ``column``, or that whole, could not be stored as they were."""

    reason: str
    rows: pa.Array
    column: str | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """What a loss leaves behind: the original to replay, and the entry that says so."""

    letter: DeadLetter
    entry: ErrorEntry


def found(losses: Iterable[Loss]) -> tuple[Loss, ...]:
    """The losses that concern any row."""
    return tuple(loss for loss in losses if loss.rows.true_count)


def each_row_once(losses: Iterable[Loss]) -> tuple[Loss, ...]:
    """The losses of whole rows, each row under the first reason only."""
    distinct: list[Loss] = []
    seen: pa.Array | None = None
    for loss in found(losses):
        distinct.append(loss if seen is None else Loss(loss.reason, pc.and_not(loss.rows, seen)))
        seen = loss.rows if seen is None else pc.or_(seen, loss.rows)
    return found(distinct)


def account_losses(
    table: TableId, losses: Iterable[Loss], original: Callable[[int], Original], key_texts: Callable[[], pa.Array]
) -> Iterator[Account]:
    """An account of each value and row lost; ``key_texts`` is asked for only if there is any."""
    for loss in losses:
        keys = key_texts()
        for row in row_numbers(loss.rows):
            yield _account(table, original(row), loss.reason, loss.column, keys[row].as_py())


def account_flaws(table: TableId, flaws: Iterable[Flaw]) -> Iterator[Account]:
    """An account of each flaw that the source's decoder found."""
    for flaw in flaws:
        yield _account(table, flaw.original, flaw.reason, flaw.column, flaw.key_text)


def stored_negative_zeros(table: TableId, column: str, count: int, primary_keys: Sequence[str] = ()) -> ErrorEntry:
    """What is said of zeros that were stored already when their column's type changed.

    Args:
        primary_keys: of some of their rows, each a JSON object as text.
    """
    return ErrorEntry(
        table=table,
        error_type=NEGATIVE_ZERO,
        message=f"{count} stored values lost the minus sign of a zero when their column changed its type;"
        " their originals are at the source only, so no dead letter keeps them",
        action=_ACTIONS[NEGATIVE_ZERO],
        column=column,
        primary_key=f"[{', '.join(primary_keys)}]" if primary_keys else None,
    )


def _account(table: TableId, original: Original, reason: str, column: str | None, key_text: str | None) -> Account:
    fallback = "The source's record could not be carried over unchanged"
    letter = DeadLetter(
        table=table,
        primary_key=original.primary_key,
        operation=UPSERT,
        reason=reason,
        column=column,
        record=original.record,
        encoding=original.encoding,
        key_text=key_text,
    )
    entry = ErrorEntry(
        table=table,
        error_type=reason,
        message=_MESSAGES.get(reason, fallback),
        action=_ACTIONS.get(reason, "row set aside" if column is None else "value set aside"),
        column=column,
        primary_key=original.primary_key,
    )
    return Account(letter, entry)
