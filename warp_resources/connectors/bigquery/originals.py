"""Keeps rows whole as extended JSON that tells each value's column type, and reads them back.

Text, booleans, 64-bit integers and finite doubles are JSON as they are. Any other value is an object of one name, its
type, with its canonical text: ``{"$numeric(10,2)": "1.10"}``, ``{"$json": "[1]"}``.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import pyarrow as pa

from warp_resources.arrow.canonical import canonical_text
from warp_resources.arrow.keys import compound, key_text
from warp_resources.arrow.numbers import integers_are_exact
from warp_resources.arrow.parsing import parse_text
from warp_resources.arrow.types import arrow_type
from warp_resources.model.batches import UNREADABLE_RECORD, WITHHELD, Flaw, Original, RawColumn, Replacements, Variant
from warp_resources.model.tables import ColumnType, Kind

ENCODING = "extended_json"
_PLAIN = (Kind.TEXT, Kind.BOOL, Kind.INT64)
_NUMERIC = re.compile(r"numeric\((\d+),(\d+)\)")
_UNITS = {Kind.TIMESTAMP: "us", Kind.TIMESTAMP_TZ: "us"}
_UNREADABLE = (ValueError, TypeError, KeyError, ArithmeticError, RecursionError, AttributeError)


class Originals:
    """The records of a batch's rows, written when they are asked for."""

    def __init__(self, columns: Sequence[RawColumn], key: tuple[str, ...]) -> None:
        self._columns = columns
        self._key = key

    def of(self, row: int) -> Original:
        """The record of a row."""
        fields = {raw.name: _written(raw, row) for raw in self._columns}
        key = {name: fields[name] for name in self._key if name in fields}
        return Original(_dumped(fields), ENCODING, _dumped(key))

    def key_text(self, row: int) -> str | None:
        """The key of a row, as ``arrow.keys`` spells it."""
        text: str | None = None if self._texts is None else self._texts[row].as_py()
        return text

    @cached_property
    def _texts(self) -> pa.Array | None:
        by_name = {raw.name: raw.variants[0] for raw in self._columns if raw.variants}
        found = [key_text(by_name[name]) for name in self._key if name in by_name]
        return compound(found) if found else None


def _written(raw: RawColumn, row: int) -> Any:
    for variant in raw.variants:
        one = variant.values.slice(row, 1)
        if one.null_count == 0:
            return _wrapped(one, variant.type)
    return None


def _wrapped(one: pa.Array, its: ColumnType) -> Any:
    value = one[0].as_py()
    if its.kind in _PLAIN or (its.kind is Kind.DOUBLE and math.isfinite(value)):
        return value
    return {f"${its}": canonical_text(one, its)[0].as_py() if its.kind is not Kind.NUMERIC else value}


def _dumped(fields: dict[str, Any]) -> str:
    return json.dumps(fields, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Restored:
    """The rows of records that could be read, with the key that they name, and a flaw for each of the others."""

    key: tuple[str, ...]
    columns: tuple[RawColumn, ...]
    row_count: int
    flaws: tuple[Flaw, ...]


def restored(originals: Sequence[Original]) -> Restored:
    """Records as rows again."""
    key: tuple[str, ...] = ()
    rows: list[dict[str, RawColumn]] = []
    flaws: list[Flaw] = []
    for its in originals:
        try:
            rows.append(_row(its))
            key = key or tuple(json.loads(its.primary_key))
        except _UNREADABLE:
            flaws.append(Flaw(its, UNREADABLE_RECORD))
    names = dict.fromkeys(name for row in rows for name in row)
    columns = tuple(_gathered(name, [row.get(name) for row in rows]) for name in names)
    return Restored(key, columns, len(rows), tuple(flaws))


def redacted(kept: Original, replacements: Replacements) -> Original:
    """The record with its fields as ``replacements`` says; of one that cannot be read, the key alone."""
    try:
        fields = json.loads(kept.record)
        if kept.encoding != ENCODING or not isinstance(fields, dict):
            return kept.withheld()
        changed: dict[str, Any] = {}
        for name, value in fields.items():
            replace_value = replacements.get(name)
            if name not in replacements:
                changed[name] = value
            elif replace_value is not None:
                changed[name] = None if value is None else replace_value(_read(name, value))
    except _UNREADABLE:
        return kept.withheld()
    return replace(kept, record=_dumped(changed))


def _row(original: Original) -> dict[str, RawColumn]:
    if original.encoding == WITHHELD:
        raise ValueError("only the key was kept")
    fields = json.loads(original.record)
    key = json.loads(original.primary_key)
    if not isinstance(fields, dict) or not key or any(fields.get(name) is None for name in key):
        raise ValueError("the record is no row with a key")
    return {name: _read(name, value) for name, value in fields.items()}


def _read(name: str, value: Any) -> RawColumn:
    """A value of a record as a column of one row."""
    if value is None:
        return RawColumn(name, ())
    its, text = _typed(value)
    values = pa.array([text], arrow_type(its)) if isinstance(value, _AS_THEY_ARE) else _parsed(text, its)
    if its.kind is Kind.INT64:
        its = replace(its, exact=integers_are_exact(values))
    return RawColumn(name, (Variant(its, values),))


_AS_THEY_ARE = (str, bool, int, float)
_TYPES = {bool: ColumnType(Kind.BOOL), int: ColumnType(Kind.INT64), float: ColumnType(Kind.DOUBLE)}


def _typed(value: Any) -> tuple[ColumnType, Any]:
    if isinstance(value, str):
        return ColumnType(Kind.TEXT), value
    if isinstance(value, _AS_THEY_ARE):
        return _TYPES[type(value)], value
    [(name, text)] = value.items()
    if not name.startswith("$") or not isinstance(text, str):
        raise ValueError("a value of a record has no type")
    return _type_of(name[1:]), text


def _type_of(spelled: str) -> ColumnType:
    bounded = _NUMERIC.fullmatch(spelled)
    if bounded:
        return ColumnType(Kind.NUMERIC, precision=int(bounded[1]), scale=int(bounded[2]))
    kind = Kind(spelled)
    return ColumnType(kind, unit=_UNITS.get(kind))


def _parsed(text: str, its: ColumnType) -> pa.Array:
    values = pa.array([text]) if its.kind in (Kind.JSON, Kind.NUMERIC) else parse_text(pa.array([text]), its)
    if values.null_count:
        raise ValueError("a value of a record cannot be read")
    return values


def _gathered(name: str, parts: Sequence[RawColumn | None]) -> RawColumn:
    """One column of the rows' values, a variant per type that any of them has."""
    found = [part.variants[0] if part is not None and part.variants else None for part in parts]
    variants = []
    for kind in dict.fromkeys(replace(its.type, exact=False) for its in found if its is not None):
        carrier = arrow_type(kind)
        pieces = [
            its.values if its is not None and replace(its.type, exact=False) == kind else pa.nulls(1, carrier)
            for its in found
        ]
        values = pa.concat_arrays(pieces)
        proved = replace(kind, exact=integers_are_exact(values)) if kind.kind is Kind.INT64 else kind
        variants.append(Variant(proved, values))
    return RawColumn(name, tuple(variants))
