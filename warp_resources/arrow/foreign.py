"""Takes arrays of any Arrow type in, as others than the product's own sources make them."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable
from datetime import date, datetime, time
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from warp_resources.arrow.canonical import canonical_text
from warp_resources.arrow.json import nested_json
from warp_resources.arrow.numbers import integers_are_exact
from warp_resources.arrow.types import arrow_type
from warp_resources.model.batches import Variant
from warp_resources.model.tables import ColumnType, Kind

KIND = b"warp:kind"
"""The field's metadata that tells JSON and numeric values, which travel as strings, from text."""

_NUMERIC = r"^-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,6})?$|^NaN$|^-?Infinity$"
_AS_TEXT = '{"warp:kind": "text"}'
_UUID_BYTES = 16
_INTEGERS = {
    pa.int8(): Kind.INT16,
    pa.uint8(): Kind.INT16,
    pa.int16(): Kind.INT16,
    pa.uint16(): Kind.INT32,
    pa.int32(): Kind.INT32,
    pa.uint32(): Kind.INT64,
    pa.int64(): Kind.INT64,
}


class Refused(ValueError):
    """The array has values that no column can take as they are; the message goes on after a column's name."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


def variant_of(values: pa.Array, kind: Kind | None = None) -> Variant | None:
    """The values as a variant of the column type that holds all that their Arrow type can; None for no type.

    Args:
        values: n values of any Arrow type; lists, structs and maps become JSON.
        kind: what strings and binaries are: JSON, numeric or UUID rather than text or bytes.

    Raises:
        Refused: no column type holds the values, or strings are not what ``kind`` says.
    """
    _refuse_invalid(values)
    if isinstance(values, pa.ExtensionArray):
        values = values.storage
    if pt.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pt.is_null(values.type):
        return None
    for matches, taken in _TAKEN:
        if matches(values.type):
            return taken(values, kind)
    raise Refused(f"of the type {values.type}", "Cast it to a number, text, time, list or struct")


def _refuse_invalid(values: pa.Array) -> None:
    try:
        values.validate(full=True)
    except pa.ArrowException as error:
        raise Refused("with values that its Arrow type cannot have", "Look at it with validate(full=True)") from error


def _integers(values: pa.Array, kind: Kind | None) -> Variant:
    if values.type == pa.uint64():
        return Variant(ColumnType(Kind.NUMERIC), values.cast(pa.string()))
    its = ColumnType(_INTEGERS[values.type])
    carried = values.cast(arrow_type(its))
    exact = its.kind is Kind.INT64 and integers_are_exact(carried)
    return Variant(ColumnType(its.kind, exact=exact), carried)


def _floats(values: pa.Array, kind: Kind | None) -> Variant:
    its = ColumnType(Kind.DOUBLE if values.type == pa.float64() else Kind.FLOAT32)
    return Variant(its, values.cast(arrow_type(its)))


def _strings(values: pa.Array, kind: Kind | None) -> Variant:
    text = values.cast(pa.string())
    if kind is Kind.NUMERIC:
        return _numerics(text)
    if kind is not Kind.JSON:
        return Variant(ColumnType(Kind.TEXT), text)
    if not all(_is_json(value) for value in text.to_pylist()):
        raise Refused("with a text that is no JSON", f"Return JSON there, or text with the metadata {_AS_TEXT}")
    return Variant(ColumnType(Kind.JSON), text)


def _numerics(text: pa.Array) -> Variant:
    if pc.any(pc.invert(pc.match_substring_regex(text, _NUMERIC))).as_py():
        raise Refused("with a text that is no number", f"Return numbers there, or text with the metadata {_AS_TEXT}")
    return Variant(ColumnType(Kind.NUMERIC), text)


def _is_json(text: str | None) -> bool:
    try:
        # Digits stay as they are: only the form is asked for.
        return text is None or bool([json.loads(text, parse_int=str, parse_constant=_refuse_constant)])
    except ValueError:
        return False


def _refuse_constant(name: str) -> None:
    raise ValueError(f"JSON has no {name}")


def _binaries(values: pa.Array, kind: Kind | None) -> Variant:
    if kind is Kind.UUID and values.type == pa.binary(_UUID_BYTES):
        return Variant(ColumnType(Kind.UUID), values)
    return Variant(ColumnType(Kind.BINARY), values.cast(pa.binary()))


def _timestamps(values: pa.Array, kind: Kind | None) -> Variant:
    unit = "ms" if values.type.unit in ("s", "ms") else "us"
    zoned = values.type.tz is not None
    its = ColumnType(Kind.TIMESTAMP_TZ if zoned else Kind.TIMESTAMP, unit=unit)
    return Variant(its, _cast(values, its))


def _dates(values: pa.Array, kind: Kind | None) -> Variant:
    return Variant(ColumnType(Kind.DATE), _cast(values, ColumnType(Kind.DATE)))


def _times(values: pa.Array, kind: Kind | None) -> Variant:
    return Variant(ColumnType(Kind.TIME), _cast(values, ColumnType(Kind.TIME)))


def _cast(values: pa.Array, its: ColumnType) -> pa.Array:
    try:
        return values.cast(arrow_type(its))
    except pa.ArrowInvalid as error:
        text = "with times that are finer than a microsecond"
        raise Refused(text, "Round them, e.g. with pyarrow.compute.floor_temporal") from error


def _nested(values: pa.Array, kind: Kind | None) -> Variant:
    try:
        found = values.to_pylist(maps_as_pydicts="strict")
    except KeyError as error:
        raise Refused("with a map that has a key twice", "Give each key once") from error
    texts = [None if value is None else nested_json(value, _nested_text) for value in found]
    return Variant(ColumnType(Kind.JSON), pa.array(texts, pa.string()))


def _nested_text(value: Any) -> str:
    """The canonical text of a scalar within a list, struct or map."""
    match value:
        case str():
            return value
        case bytes():
            return base64.b64encode(value).decode()
        case uuid.UUID():
            return str(value)
        case datetime() | date() | time():
            found = variant_of(pa.array([value]))
            assert found is not None
            text: str = canonical_text(found.values, found.type)[0].as_py()
            return text
    raise Refused(f"with a {type(value).__name__} in a list or struct", "Turn it into a number or text")


_TAKEN: tuple[tuple[Callable[[pa.DataType], bool], Callable[[pa.Array, Kind | None], Variant]], ...] = (
    (pt.is_boolean, lambda values, kind: Variant(ColumnType(Kind.BOOL), values)),
    (pt.is_integer, _integers),
    (pt.is_floating, _floats),
    (pt.is_decimal, lambda values, kind: _numerics(values.cast(pa.string()))),
    (lambda its: pt.is_string(its) or pt.is_large_string(its) or pt.is_string_view(its), _strings),
    (
        lambda its: (
            pt.is_binary(its) or pt.is_large_binary(its) or pt.is_fixed_size_binary(its) or pt.is_binary_view(its)
        ),
        _binaries,
    ),
    (pt.is_timestamp, _timestamps),
    (pt.is_date, _dates),
    (pt.is_time, _times),
    (lambda its: pt.is_nested(its) and not pt.is_union(its), _nested),
)
