"""Sorts keys into families and spells any key so that distinct keys stay distinct (SPEC E11).

A column whose keys are all of one family has that family's type. Once a second family appears it is
text of family ``mixed``, holding each key as relaxed extended JSON, and stays so. Numbers are one family by value,
but a column of type numeric cannot tell the double 0.1 from the decimal 0.1: it is of family ``number`` where doubles
may be in it that are written like that, of family ``decimal`` where decimals may be, and mixed where both are to be.

Source of the spelling: https://www.mongodb.com/docs/manual/reference/mongodb-extended-json/
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial, reduce

import pyarrow as pa
import pyarrow.compute as pc

from warp_resources.arrow.canonical import canonical_text
from warp_resources.arrow.coerce import Coerced, coerce
from warp_resources.arrow.json import json_strings
from warp_resources.arrow.lattice import FLOATS, NUMBERS, TEXT, join
from warp_resources.arrow.number_keys import (
    brings_decimals,
    brings_rounded_doubles,
    decimals_as_doubles,
    decimals_as_keys,
    doubles_as_keys,
    doubles_as_numerics,
)
from warp_resources.arrow.numbers import numbers_as_keys
from warp_resources.arrow.rows import first_valid, no_rows, replace_rows
from warp_resources.arrow.times import UNITS_PER_SECOND
from warp_resources.arrow.types import arrow_type
from warp_resources.model.batches import Variant
from warp_resources.model.tables import Column, ColumnType, Kind

NUMBER = "number"
DECIMAL = "decimal"
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
    Kind.NUMERIC: DECIMAL,
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
    families = {NUMBER if key.family == DECIMAL else key.family for key in (*held, *brought)}
    if len(families) > 1 or MIXED in families:
        return KeyType(TEXT, MIXED)
    family = families.pop()
    met = TEXT if family == JSON else reduce(join, (key.type for key in (*held, *brought)))
    return _numeric_key(met, variants, held) if met.kind is Kind.NUMERIC else KeyType(met, family)


def _numeric_key(numeric: ColumnType, variants: Sequence[Variant], held: Sequence[KeyType]) -> KeyType:
    """A key column of type numeric, unless it would have to hold two numbers that are written alike there."""
    decimals = any(key.family == DECIMAL for key in held) or any(
        brings_decimals(variant.values) for variant in variants if variant.type.kind is Kind.NUMERIC
    )
    doubles = any(key.type.kind in FLOATS or (key.type.kind is Kind.NUMERIC and key.family == NUMBER) for key in held)
    doubles = doubles or any(brings_rounded_doubles(its.values) for its in variants if its.type.kind in FLOATS)
    if decimals and doubles:
        return KeyType(TEXT, MIXED)
    return KeyType(numeric, NUMBER if doubles else DECIMAL)


def key_values(variants: Sequence[Variant], key: KeyType, length: int) -> Coerced:
    """The keys of all variants, as a key column holds them; null where a row has none.

    Nothing is rejected: within a family, types only widen.
    """
    if not variants:
        return Coerced(pa.nulls(length, arrow_type(key.type)), no_rows(length), no_rows(length))
    if key.family == MIXED:
        return Coerced(key_texts(variants, length), no_rows(length), no_rows(length))
    parts = [coerce(variant.values, TEXT if key.family == JSON else variant.type, key.type) for variant in variants]
    values = [
        _stored_number(variant, part.values, key) if key.type.kind is Kind.NUMERIC else part.values
        for variant, part in zip(variants, parts, strict=True)
    ]
    return Coerced(
        first_valid(values),
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
    if family in (NUMBER, DECIMAL):
        return _numbers(variant, family, text)
    if family == OBJECT_ID:
        return pc.binary_join_element_wise('{"$oid": "', text, '"}', "")
    return json_strings(text, ascii_only=True)


def compound(texts: Sequence[pa.Array]) -> pa.Array:
    """Keys of several columns as one text each: a JSON array, unless there is but one column."""
    if len(texts) == 1:
        return texts[0]
    separated = [part for text in texts for part in (", ", text)][1:]
    return pc.binary_join_element_wise("[", *separated, "]", "")


def _numbers(variant: Variant, family: str, text: pa.Array) -> pa.Array:
    if family == DECIMAL:
        return decimals_as_keys(variant.values)
    return doubles_as_keys(variant.values) if variant.type.kind in FLOATS else numbers_as_keys(text)


def _stored_number(variant: Variant, literals: pa.Array, key: KeyType) -> pa.Array:
    if variant.type.kind in FLOATS:
        return doubles_as_numerics(literals, variant.values)
    if variant.type.kind is Kind.NUMERIC and key.family == NUMBER:
        return decimals_as_doubles(literals)
    return literals


def key_object(names: Sequence[str], text: str) -> str:
    """A key as a JSON object by column, from the text that ``compound`` made of it."""
    decoder, starts, parts = json.JSONDecoder(), 1, []
    if len(names) == 1:
        return f"{{{json.dumps(names[0])}: {text}}}"
    for name in names:
        _, end = decoder.raw_decode(text, starts)
        parts.append(f"{json.dumps(name)}: {text[starts:end]}")
        starts = end + len(", ")
    return "{" + ", ".join(parts) + "}"


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
