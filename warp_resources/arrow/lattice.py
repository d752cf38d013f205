"""Decides what two column types become together; nothing else does.

``join`` commutes, associates, is idempotent and keeps every value. For integers with doubles that
holds because of ``ColumnType.exact``: a double that takes in an integer of more digits than it can
show would change that integer's canonical text, so such a pair meets in numeric instead.
"""

from __future__ import annotations

from enum import StrEnum

from warp_resources.model.tables import ColumnType, Kind

INTEGERS = (Kind.INT16, Kind.INT32, Kind.INT64)
FLOATS = (Kind.FLOAT32, Kind.DOUBLE)
NUMBERS = frozenset({*INTEGERS, *FLOATS, Kind.NUMERIC})
TIMESTAMPS = frozenset({Kind.TIMESTAMP, Kind.TIMESTAMP_TZ})

TEXT = ColumnType(Kind.TEXT)
JSON = ColumnType(Kind.JSON)
NUMERIC = ColumnType(Kind.NUMERIC)
DOUBLE = ColumnType(Kind.DOUBLE)


class Fit(StrEnum):
    """How values of an incoming type fit an established column."""

    EXACT = "exact"  # the column holds every value of the incoming type
    WIDENING = "widening"  # the column and the values meet in a wider type of their own sort
    CHECKED = "checked"  # only a value whose canonical text survives fits; else the column becomes text
    DRASTIC = "drastic"  # an object or array meets a scalar column


def join(a: ColumnType, b: ColumnType) -> ColumnType:
    """The narrowest type that holds every value of both."""
    if a == b:
        return a
    if Kind.JSON in (a.kind, b.kind):
        return JSON
    if a.kind in NUMBERS and b.kind in NUMBERS:
        return _join_numbers(a, b)
    if a.kind is b.kind:
        return ColumnType(a.kind, unit=_finer(a.unit, b.unit)) if a.kind in TIMESTAMPS else ColumnType(a.kind)
    return TEXT


def fit(established: ColumnType, incoming: ColumnType) -> Fit:
    """Whether an established column takes values of an incoming type, and at what price."""
    if incoming.kind is Kind.JSON and established.kind is not Kind.JSON:
        return Fit.DRASTIC
    joined = join(established, incoming)
    if joined == established:
        return Fit.EXACT
    return Fit.CHECKED if joined.kind is Kind.TEXT else Fit.WIDENING


def is_exact(column_type: ColumnType) -> bool:
    """Whether every integer of the type reads the same from a double; short integers always do."""
    return column_type.exact or column_type.kind in (Kind.INT16, Kind.INT32)


def _join_numbers(a: ColumnType, b: ColumnType) -> ColumnType:
    if Kind.NUMERIC in (a.kind, b.kind):
        return _enclosing(a, b)
    if a.kind in INTEGERS and b.kind in INTEGERS:
        wider = max(a.kind, b.kind, key=INTEGERS.index)
        return ColumnType(wider, exact=is_exact(a) and is_exact(b))
    integers = [part for part in (a, b) if part.kind in INTEGERS]
    return DOUBLE if all(is_exact(part) for part in integers) else NUMERIC


def _enclosing(a: ColumnType, b: ColumnType) -> ColumnType:
    if a.kind is not b.kind or a.precision is None or b.precision is None:
        return NUMERIC
    scale = max(a.scale or 0, b.scale or 0)
    whole = max(a.precision - (a.scale or 0), b.precision - (b.scale or 0))
    return ColumnType(Kind.NUMERIC, precision=whole + scale, scale=scale)


def _finer(a: str | None, b: str | None) -> str | None:
    return "ms" if a == b == "ms" else "us"
