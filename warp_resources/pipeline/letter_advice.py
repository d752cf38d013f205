"""Says, for each reason why something was set aside, what a user can do about it."""

from __future__ import annotations

_ADVICE = {
    "foreign_key": "It refers to a row that is not there yet; it is tried again by itself for some hours",
    "unique": "Another row has the same value under a unique key of the destination: change one of them, then replay",
    "exclusion": "An exclusion constraint of the destination forbids it: change either, then replay",
    "check": "A check constraint of the destination forbids it: change the constraint, then replay",
    "not_null": "The destination's column takes no nulls: drop its NOT NULL, then replay",
    "refused": "The destination or a trigger of it refuses the row: mend that, then replay",
    "drastic_change": "The column takes no objects or arrays: set contract.type_changes: json, then replay",
    "conversion": "The column's type does not take the value: give it a type that does under columns, then replay",
    "too_many_digits": "The destination has no number of so many digits: give the column the type text, then replay",
    "character_removed": "The destination cannot store a character of it, which was removed; the record here is whole",
    "json_number": "A number in it has more digits than JSON has there, and is a string; the record here is whole",
    "negative_zero": "The column's type has no negative zero; the record here is whole",
    "not_an_array": "The column holds arrays alone: make it one at the source, which brings the row again",
    "new_column_quarantined": "It brings a field that the contract takes no column for: set new_columns, then replay",
    "type_change_quarantined": "The contract keeps the type of the column: set type_changes, then replay",
    "row_too_wide": "The row takes more room than the destination has: drop fields under columns, then replay",
    "duplicate_key": "Another row of the source has the same key: name a key that is unique, then resync",
    "unreadable_record": "Its record cannot be read back: `cartridge-warp resync` brings the row as it is now",
}
_OTHERWISE = "Mend it at the source, or read the record here; then replay or discard it"


def advice(reason: str) -> str:
    """What to do about letters of a reason."""
    return _ADVICE.get(reason, _OTHERWISE)
