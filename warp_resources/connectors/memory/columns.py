"""Turns rows of Python values into raw columns, a variant per type."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from functools import partial
from typing import Any

import pyarrow as pa

from warp_resources.arrow.canonical import canonical_text
from warp_resources.arrow.json import nested_json
from warp_resources.arrow.numbers import integers_are_exact
from warp_resources.arrow.types import arrow_type
from warp_resources.connectors.memory.originals import extended_json
from warp_resources.errors import OperatorError
from warp_resources.model.batches import RawColumn, Variant
from warp_resources.model.tables import ColumnType, Kind

_INT64 = range(-(2**63), 2**63)


def raw_columns(rows: Sequence[dict[str, Any]], *, extended: bool = False) -> tuple[RawColumn, ...]:
    """Every field of the rows as a column, in the order of first appearance.

    Args:
        extended: objects and arrays become extended JSON.
    """
    names = dict.fromkeys(name for row in rows for name in row)
    nested_json = extended_json if extended else plain_json
    return tuple(_column(name, [row.get(name) for row in rows], nested_json) for name in names)


def _column(name: str, values: list[Any], nested_json: Callable[[Any], str]) -> RawColumn:
    types = [column_type(value) for value in values]
    seen = dict.fromkeys(found for found in types if found is not None)
    variants = []
    for found in seen:
        of_type = [value if its is found else None for value, its in zip(values, types, strict=True)]
        carry = nested_json if found.kind is Kind.JSON else partial(_carried, kind=found.kind)
        carried = pa.array([None if value is None else carry(value) for value in of_type], arrow_type(found))
        proved = ColumnType(Kind.INT64, exact=integers_are_exact(carried)) if found.kind is Kind.INT64 else found
        variants.append(Variant(proved, carried))
    return RawColumn(name, tuple(variants))


_TYPES = {kind: ColumnType(kind) for kind in Kind} | {
    Kind.TIMESTAMP: ColumnType(Kind.TIMESTAMP, unit="us"),
    Kind.TIMESTAMP_TZ: ColumnType(Kind.TIMESTAMP_TZ, unit="us"),
}


def column_type(value: Any) -> ColumnType | None:
    """The type that one Python value has, None for None.

    Raises:
        OperatorError: rows in memory cannot hold a value of its class.
    """
    return None if value is None else _TYPES[_kind(value)]


def _kind(value: Any) -> Kind:
    match value:
        case bool():
            return Kind.BOOL
        case int():
            return Kind.INT64 if value in _INT64 else Kind.NUMERIC
        case float():
            return Kind.DOUBLE
        case Decimal():
            return Kind.NUMERIC
        case str():
            return Kind.TEXT
        case bytes():
            return Kind.BINARY
        case uuid.UUID():
            return Kind.UUID
        case datetime():
            return Kind.TIMESTAMP if value.tzinfo is None else Kind.TIMESTAMP_TZ
        case date():
            return Kind.DATE
        case time():
            return Kind.TIME
        case dict() | list():
            return Kind.JSON
    raise OperatorError(
        f"Rows in memory cannot hold a {type(value).__name__}",
        remedy="Use None, bool, int, float, Decimal, str, bytes, UUID, date, time, datetime, dict or list",
    )


def _carried(value: Any, kind: Kind) -> Any:
    if kind is Kind.NUMERIC:
        return str(value)
    if kind is Kind.UUID:
        return value.bytes
    return value


def plain_json(value: Any) -> str:
    """Canonical JSON (SPEC 5, ``json_format: plain``) of one Python value."""
    return nested_json(value, _nested_text)


def _nested_text(value: Any) -> str:
    found = _TYPES[_kind(value)]
    text: str = canonical_text(pa.array([_carried(value, found.kind)], arrow_type(found)), found)[0].as_py()
    return text
