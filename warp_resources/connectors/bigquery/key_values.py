"""Reads keys, given as JSON, into the values that columns hold, and writes those as SQL."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from google.cloud.bigquery import ArrayQueryParameter, ScalarQueryParameter, SchemaField, StructQueryParameter

from warp_resources.arrow.canonical import canonical_text
from warp_resources.arrow.keys import key_text
from warp_resources.arrow.parsing import parse_text
from warp_resources.connectors.bigquery.fields import column_type, type_name
from warp_resources.errors import OperatorError
from warp_resources.model.batches import Variant
from warp_resources.model.tables import Kind

_NUMBER = r"^-?\d+(\.\d+)?([eE][-+]?\d+)?$"
_CASTS = {"INT64", "NUMERIC", "BIGNUMERIC", "BOOL"}
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def key_columns(keys: Sequence[str], fields: Sequence[SchemaField]) -> list[pa.Array]:
    """The values of some keys, a column per key column.

    Args:
        keys: each a JSON object by column, of values as ``arrow.keys`` or ``originals`` spell them.

    Raises:
        OperatorError: a key cannot be read.
    """
    try:
        found = [json.loads(key, parse_int=_Digits, parse_float=_Digits) for key in keys]
        columns = [pa.array([_text(key[field.name]) for key in found], pa.string()) for field in fields]
    except (ValueError, TypeError, KeyError) as error:
        raise OperatorError("A key cannot be read", remedy="Report it with the types of the key") from error
    read = [_parsed(column, field) for column, field in zip(columns, fields, strict=True)]
    if any(column.null_count for column in read):
        raise OperatorError(
            "A key is not of the type of its column",
            remedy="Read its table anew: cartridge-warp run --once --full-resync --table NAME",
        )
    return read


class _Digits(str):
    """A number as it is written."""


def _text(part: Any) -> str:
    """The canonical text of a key's value."""
    if isinstance(part, bool):
        return "true" if part else "false"
    if isinstance(part, str):
        return str(part)
    if not isinstance(part, dict):
        raise TypeError("a key has no value")
    [inner] = part.values()
    return str(inner["base64"] if isinstance(inner, dict) else inner)


def _parsed(texts: pa.Array, field: SchemaField) -> pa.Array:
    its = column_type(field)
    if its.kind is Kind.TEXT:
        return texts
    if its.kind is Kind.NUMERIC:
        return pc.if_else(pc.match_substring_regex(texts, _NUMBER), texts, pa.scalar(None, pa.string()))
    return parse_text(texts, its)


def keys_parameter(name: str, fields: Sequence[SchemaField], columns: Sequence[pa.Array]) -> ArrayQueryParameter:
    """The keys as one parameter: an array of values, or of structs whose fields are ``k0``, ``k1``, ..."""
    types = [type_name(field) for field in fields]
    if len(types) == 1:
        return ArrayQueryParameter(name, types[0], _python(columns[0], types[0]))
    rows = zip(*(_python(column, its) for column, its in zip(columns, types, strict=True)), strict=True)
    structs = [
        StructQueryParameter(
            None,
            *(
                ScalarQueryParameter(f"k{number}", its, value)
                for number, (its, value) in enumerate(zip(types, row, strict=True))
            ),
        )
        for row in rows
    ]
    return ArrayQueryParameter(name, "STRUCT", structs)


def _python(values: pa.Array, its: str) -> list[Any]:
    found = values.to_pylist()
    return [Decimal(value) if its in ("NUMERIC", "BIGNUMERIC") else sent(value, its) for value in found]


def sent(value: Any, its: str) -> Any:
    """A value for a parameter of a type; the client writes a year before 1000 of a DATETIME without its zeros."""
    return value.isoformat() if its == "DATETIME" and isinstance(value, datetime) else value


def bound_text(field: SchemaField, value: Any) -> str:
    """A value of a key column as the text of a bound, which ``literal`` reads."""
    its = column_type(field)
    values = pa.array([format(value, "f")]) if its.kind is Kind.NUMERIC else pa.array([value])
    return str(key_text(Variant(its, values))[0].as_py())


def literal(field: SchemaField, bound: str) -> str:
    """A bound as SQL: the Storage Read API takes no parameters."""
    [values] = key_columns([f"{{{json.dumps(field.name)}: {bound}}}"], [field])
    its, name = column_type(field), type_name(field)
    text = str(canonical_text(values, its)[0].as_py())
    if name in _CASTS:
        return f"cast({_string(text)} as {name})" if name != "BOOL" else text
    if name == "BYTES":
        return f"from_base64({_string(text)})"
    return _string(text) if name == "STRING" else f"{name} {_string(text)}"


def _string(text: str) -> str:
    escaped = "".join(_ESCAPES.get(char, char if char >= " " else f"\\x{ord(char):02x}") for char in text)
    return f'"{escaped}"'
