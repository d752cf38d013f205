"""Reads the types that a configuration declares of columns."""

from __future__ import annotations

import re

from pydantic_core import PydanticCustomError

from warp_resources.model.tables import ColumnType, Kind

_KINDS = {
    "smallint": Kind.INT16,
    "int": Kind.INT32,
    "integer": Kind.INT32,
    "bigint": Kind.INT64,
    "real": Kind.FLOAT32,
    "float": Kind.FLOAT32,
    "double": Kind.DOUBLE,
    "double precision": Kind.DOUBLE,
    "numeric": Kind.NUMERIC,
    "decimal": Kind.NUMERIC,
    "text": Kind.TEXT,
    "string": Kind.TEXT,
    "boolean": Kind.BOOL,
    "bool": Kind.BOOL,
    "timestamptz": Kind.TIMESTAMP_TZ,
    "timestamp": Kind.TIMESTAMP,
    "date": Kind.DATE,
    "time": Kind.TIME,
    "uuid": Kind.UUID,
    "json": Kind.JSON,
    "jsonb": Kind.JSON,
    "bytes": Kind.BINARY,
    "bytea": Kind.BINARY,
}
NAMES = ("decimal(18,4)", *_KINDS)
"""What a column may be declared as; the digits are an example."""

_DECIMAL = re.compile(r"(?:decimal|numeric) ?\( ?(\d{1,4}) ?(?:, ?(\d{1,4}) ?)?\)")
_MOST_DIGITS = 1_000


def column_type(name: str) -> ColumnType:
    """The type that a name means, whatever its case.

    Raises:
        PydanticCustomError: it means none; says which do.
    """
    plain = " ".join(name.lower().split())
    if plain in _KINDS:
        return ColumnType(_KINDS[plain])
    digits = _DECIMAL.fullmatch(plain)
    if digits is None:
        context = {"names": ", ".join(NAMES), "known": NAMES}
        raise PydanticCustomError("column_type", "one of {names} is allowed", context)
    precision, scale = int(digits[1]), int(digits[2] or 0)
    if not (1 <= precision <= _MOST_DIGITS and scale <= precision):
        text = "decimal(p,s) with p from 1 to {most} and s from 0 to p is allowed"
        raise PydanticCustomError("column_type", text, {"most": _MOST_DIGITS})
    return ColumnType(Kind.NUMERIC, precision=precision, scale=scale)


def checked_type(name: str) -> str:
    """The name itself, if it means a type."""
    column_type(name)
    return name
