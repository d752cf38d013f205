"""Sorts keys into families and spells any key so that distinct keys stay distinct (SPEC E11).

A column whose keys are all of one family has that family's type. Once a second family appears it is
text of family ``mixed``, holding each key as relaxed extended JSON, and stays so.

Source of the spelling: https://www.mongodb.com/docs/manual/reference/mongodb-extended-json/
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial, reduce

import pyarrow as pa
import pyarrow.compute as pc

from warp_resources.arrow.canonical import canonical_text
from warp_resources.arrow.coerce import Coerced, coerce
from warp_resources.arrow.json import json_strings
from warp_resources.arrow.lattice import NUMBERS, TEXT, join
from warp_resources.arrow.numbers import numbers_as_keys
from warp_resources.arrow.rows import first_valid, no_rows, replace_rows
from warp_resources.arrow.times import UNITS_PER_SECOND
from warp_resources.arrow.types import arrow_type
from warp_resources.model.batches import Variant
from warp_resources.model.tables import Column, ColumnType, Kind

NUMBER = "number"
STRING = "string"
OBJECT_ID = "objectId"
UUID = "uuid"
DATE = "date"
BOOL = "bool"
JSON = "json"  # documents and all that has no family of its own
MIXED = "mixed"
BINARY = "binary:"  # and the subtype as two hexadecimal digits

_FAMILIES = {
    **dict.fromkeys(NUMBERS, NUMBER),
    Kind.TEXT: STRING,
    Kind.UUID: UUID,
    Kind.TIMESTAMP_TZ: DATE,
    Kind.BOOL: BOOL,
    Kind.JSON: JSON,
    Kind.BINARY: f"{BINARY}00",
}
_YEAR_10000_SECONDS = 253_402_300_800


@dataclass(frozen=True, slots=True)
class KeyType:
    """The type of a key column and the family of the keys it holds."""

    type: ColumnType
    family: str


def family_of(column_type: ColumnType, family: str = "") -> str:
    """The family of keys of a type, unless the source has said it."""
    return family or _FAMILIES.get(column_type.kind, str(column_type.kind))


def key_type(variants: Sequence[Variant], known: Column | None) -> KeyType | None:
    """What a key column must be to hold the known keys and those of the variants; None for no keys."""
    held = [] if known is None else [KeyType(known.type, family_of(known.type, known.family))]
    brought = [KeyType(variant.type, family_of(variant.type, variant.family)) for variant in variants]
    if not held and not brought:
        return None
    families = {key.family for key in (*held, *brought)}
    if len(families) > 1 or MIXED in families:
        return KeyType(TEXT, MIXED)
    family = families.pop()
    return KeyType(TEXT if family == JSON else reduce(join, (key.type for key in (*held, *brought))), family)


def key_values(variants: Sequence[Variant], key: KeyType, length: int) -> Coerced:
    """The keys of all variants, as a key column holds them; null where a row has none.

    Nothing is rejected: within a family, types only widen.
    """
    if not variants:
        return Coerced(pa.nulls(length, arrow_type(key.type)), no_rows(length), no_rows(length))
    if key.family == MIXED:
        return Coerced(key_texts(variants, length), no_rows(length), no_rows(length))
    parts = [coerce(variant.values, TEXT if key.family == JSON else variant.type, key.type) for variant in variants]
    return Coerced(
        first_valid([part.values for part in parts]),
        reduce(pc.or_, (part.rejected for part in parts)),
        reduce(pc.or_, (part.altered for part in parts)),
    )


def key_texts(variants: Sequence[Variant], length: int) -> pa.Array:
    """The keys of all variants as relaxed extended JSON; null where a row has none."""
    return first_valid([key_text(variant) for variant in variants]) if variants else pa.nulls(length, pa.string())


def key_text(variant: Variant) -> pa.Array:
    """Each key as relaxed extended JSON, as ``bson.json_util`` prints it; numbers by their value.

    Returns:
        n strings, equal where the keys are equal, within and across families.
    """
    family = family_of(variant.type, variant.family)
    if family in (JSON, MIXED):
        return variant.values
    if family == DATE:
        return _dates(variant)
    if family == UUID or family.startswith(BINARY):
        subtype = "04" if family == UUID else family.removeprefix(BINARY)
        return _each(variant.values, partial(_binary, subtype=subtype))
    text = canonical_text(variant.values, variant.type)
    if family == BOOL:
        return text
    if family == NUMBER:
        return numbers_as_keys(text)
    if family == OBJECT_ID:
        return pc.binary_join_element_wise('{"$oid": "', text, '"}', "")
    return json_strings(text, ascii_only=True)


def compound(texts: Sequence[pa.Array]) -> pa.Array:
    """Keys of several columns as one text each: a JSON array, unless there is but one column."""
    if len(texts) == 1:
        return texts[0]
    separated = [part for text in texts for part in (", ", text)][1:]
    return pc.binary_join_element_wise("[", *separated, "]", "")


def _dates(variant: Variant) -> pa.Array:
    unit = variant.type.unit or "us"
    text = pc.replace_substring_regex(canonical_text(variant.values, variant.type), r"\.000Z$", "Z")
    text = pc.binary_join_element_wise('{"$date": "', text, '"}', "")
    if unit != "ms":
        return text
    numbers = variant.values.view(pa.int64())
    limit = _YEAR_10000_SECONDS * UNITS_PER_SECOND[unit]
    odd = pc.or_(pc.less(numbers, 0), pc.greater_equal(numbers, limit))
    return replace_rows(text, odd, numbers, lambda value: f'{{"$date": {{"$numberLong": "{value}"}}}}')


def _binary(value: bytes, subtype: str) -> str:
    return f'{{"$binary": {{"base64": "{base64.b64encode(value).decode()}", "subType": "{subtype}"}}}}'


def _each(values: pa.Array, spell: partial[str]) -> pa.Array:
    return pa.array([None if value is None else spell(value) for value in values.to_pylist()], pa.string())
