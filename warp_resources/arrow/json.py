"""Writes columns of scalars as JSON text."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from warp_resources.arrow.canonical import canonical_text
from warp_resources.arrow.lattice import NUMBERS
from warp_resources.arrow.numbers import decimal_text, double_text
from warp_resources.arrow.rows import replace_rows
from warp_resources.model.tables import ColumnType, Kind

_NEEDS_ESCAPE = '[\\x00-\\x1f"\\\\]'
_NEEDS_ASCII_ESCAPE = '[^ -~]|["\\\\]'


def json_strings(text: pa.Array, ascii_only: bool = False) -> pa.Array:
    """Each text as a JSON string; ``ascii_only`` spells it as Python's ``json.dumps`` does by default."""
    quoted = pc.binary_join_element_wise('"', text, '"', "")
    special = pc.match_substring_regex(text, _NEEDS_ASCII_ESCAPE if ascii_only else _NEEDS_ESCAPE)
    return replace_rows(quoted, special, text, lambda value: json.dumps(value, ensure_ascii=ascii_only))


def nested_json(value: Any, text_of: Callable[[Any], str]) -> str:
    """Canonical JSON (SPEC 5) of one Python value; ``text_of`` gives the text of what JSON has no notion of."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case dict():
            fields = (f"{_quoted(str(name))}:{nested_json(part, text_of)}" for name, part in value.items())
            return "{" + ",".join(fields) + "}"
        case list():
            return "[" + ",".join(nested_json(part, text_of) for part in value) + "]"
        case int():
            return str(value)
        case float() | Decimal():
            text = double_text(value) if isinstance(value, float) else decimal_text(str(value))
            return text if text[-1].isdigit() else _quoted(text)
    return _quoted(text_of(value))


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def canonical_json(values: pa.Array, column_type: ColumnType) -> pa.Array:
    """Each scalar as canonical JSON: numbers and booleans as such, all others as strings.

    NaN and the infinities are strings too, as JSON has no such numbers. JSON text stays as it is.
    """
    text = canonical_text(values, column_type)
    if column_type.kind in (Kind.JSON, Kind.BOOL):
        return text
    if column_type.kind in NUMBERS:
        endless = pc.match_substring_regex(text, "^(NaN|-?Infinity)$")
        return replace_rows(text, endless, text, json.dumps)
    return json_strings(text)
