"""Composes what brings stored values to another type, be it narrower, null where they would not be the same there."""

from __future__ import annotations

from dataclasses import replace

from warp_resources.arrow.lattice import FLOATS, INTEGERS, TIMESTAMPS, join
from warp_resources.connectors.bigquery.conversions import canonical_text, converted
from warp_resources.connectors.bigquery.session import quoted
from warp_resources.connectors.bigquery.types import stored_type
from warp_resources.errors import OperatorError
from warp_resources.model.tables import Column, ColumnType, Kind

_BOUNDS = {Kind.INT16: 2**15, Kind.INT32: 2**31}
_EXACT_FLOAT32 = 2**24
_UUID = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"


def remade(before: Column, after: Column, value: str, *, is_key: bool = False) -> str:
    """What a column holds as it is once the column has another type; as text, objects and arrays are their JSON."""
    if before.is_array and not after.is_array:
        # What has no elements may have been nothing, there and at the source.
        return f"if(array_length({value}) > 0, to_json_string({value}), null)"
    if before.type.kind is Kind.JSON and after.type.kind is Kind.TEXT:
        return f"if({value} is null, null, coalesce({_text(before.type, value)}, to_json_string({value})))"
    return retyped(before.type, after.type, value, is_key=is_key)


def present(column: Column, name: str) -> str:
    """The SQL of whether a row has a value in a column that is stored by this name: an array is never null."""
    return f"array_length(T.{quoted(name)}) > 0" if column.is_array else f"T.{quoted(name)} is not null"


def retyped(before: ColumnType, after: ColumnType, value: str, *, is_key: bool = False) -> str:
    """A stored value in another type, be it wider or narrower; null where it would not be the same there."""
    joined = join(before, after)
    is_wider = replace(joined, exact=False) == replace(after, exact=False)
    # Of integers it is known that a double holds them, where that is what they become.
    if is_wider or (before.kind in INTEGERS and after.kind in FLOATS):
        return converted(before, after, value, is_key=is_key)
    if before.kind is after.kind and before.kind in TIMESTAMPS:
        return f"if(mod(extract(microsecond from {value}), 1000) = 0, {value}, null)"
    return narrowed(before, after, value)


def narrowed(before: ColumnType, after: ColumnType, value: str) -> str:
    """A stored value as the narrower type has it; null where it does not convert exactly, and back to what it was."""
    text = _text(before, value)
    parsed = _nearest(value) if _is_decimal(before) and after.kind in FLOATS else _parsed(after, text)
    if before.kind is Kind.JSON:
        kept = f"to_json_string({converted(after, before, parsed)}) = to_json_string({value})"
    else:
        kept = f"{canonical_text(after, parsed)} = {text}"
    return f"if({kept}{_within(after, parsed)}, {parsed}, null)"


def _is_decimal(its: ColumnType) -> bool:
    return its.kind is Kind.NUMERIC and stored_type(its) != "STRING"


def _nearest(value: str) -> str:
    return f"cast({value} as FLOAT64)"


def _text(its: ColumnType, value: str) -> str:
    """A stored value as canonical text; of JSON only strings, numbers and booleans have one."""
    if its.kind is Kind.JSON:
        return f"if(json_type({value}) in ('string', 'number', 'boolean'), json_value({value}), null)"
    return canonical_text(its, value)


def _parsed(its: ColumnType, text: str) -> str:
    if its.kind is Kind.TEXT:
        return text
    if its.kind is Kind.BINARY:
        return f"safe.from_base64({text})"
    if its.kind is Kind.UUID:
        return f"if(regexp_contains({text}, r'{_UUID}'), {text}, null)"
    if its.kind is Kind.JSON:
        raise OperatorError("A column of JSON is never the narrower one", remedy="Report this as a bug")
    return f"safe_cast({text} as {stored_type(its)})"


def _within(its: ColumnType, parsed: str) -> str:
    """The bounds of a type that is stored in a wider one."""
    if its.kind in INTEGERS and its.kind in _BOUNDS:
        return f" and {parsed} between {-_BOUNDS[its.kind]} and {_BOUNDS[its.kind] - 1}"
    if its.kind is FLOATS[0]:
        # Fewer than a float32 has, but surely exact: whole multiples of 1/65536.
        scaled = f"{parsed} * 65536"
        return f" and {scaled} = trunc({scaled}) and abs({scaled}) <= {_EXACT_FLOAT32}"
    return ""
