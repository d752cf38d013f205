"""Carries values to the type that a user declared of their column, which they may have to be rounded to."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from warp_resources.arrow.canonical import canonical_text
from warp_resources.arrow.coerce import coerce
from warp_resources.arrow.lattice import INTEGERS, NUMBERS, TEXT, TIMESTAMPS
from warp_resources.arrow.numbers import decimal_text, double_text, integers_are_exact
from warp_resources.arrow.rows import no_rows
from warp_resources.arrow.types import arrow_type
from warp_resources.model.tables import ColumnType, Kind

_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?(e[+-]?[0-9]{1,5})?|NaN|-?Infinity")
_BITS = {Kind.INT16: 16, Kind.INT32: 32, Kind.INT64: 64}
# Enough for every number that a source has: nothing is rounded but to the scale that was declared.
_CONTEXT = Context(prec=140_000, Emax=10**6, Emin=-(10**6), rounding=ROUND_HALF_EVEN)
_DAY = {"ms": 86_400_000, "us": 86_400_000_000}
_MOMENTS = (
    *(ColumnType(kind, unit=unit) for kind in (Kind.TIMESTAMP_TZ, Kind.TIMESTAMP) for unit in ("us", "ms")),
    ColumnType(Kind.DATE),
)


@dataclass(frozen=True, slots=True)
class Declared:
    """Values of the declared type, with masks of the rows that did not come through unchanged.

    ``rejected``: null in ``values``. ``altered``: a zero that lost its minus sign. ``truncated``: stored rounded.
    """

    values: pa.Array
    rejected: pa.Array
    altered: pa.Array
    truncated: pa.Array


def as_declared(values: pa.Array, source: ColumnType, target: ColumnType) -> Declared:
    """Values of type ``source`` as values of the type ``target`` that their column was declared to have.

    Numbers, and texts that are numbers, come through by value; they are rounded (half to even) to the scale of a
    decimal and to a ``real``. Times come through as instants in UTC; a date takes the day of one.

    Args:
        values: n values in the carrier of ``source``.

    Returns:
        n values in the carrier of ``target``, with masks of n booleans.
    """
    if target.kind in NUMBERS and (source.kind in NUMBERS or source.kind is Kind.TEXT):
        return _numbers(values, source, target)
    if target.kind in TIMESTAMPS or target.kind is Kind.DATE:
        if source.kind is Kind.TEXT:
            return _texts_as_moments(values, target)
        if source.kind in TIMESTAMPS or source.kind is Kind.DATE:
            return _moments(values, source, target)
    coerced = coerce(values, source, target)
    return Declared(coerced.values, coerced.rejected, coerced.altered, no_rows(len(values)))


def _exact(values: pa.Array, before: pa.Array, truncated: pa.Array | None = None) -> Declared:
    none = no_rows(len(values))
    rejected = pc.and_(before.is_valid(), values.is_null()) if values.null_count != before.null_count else none
    return Declared(values, rejected, none, none if truncated is None else truncated)


def _numbers(values: pa.Array, source: ColumnType, target: ColumnType) -> Declared:
    if source.kind is target.kind and target.precision is None and target.kind is not Kind.NUMERIC:
        return _exact(values, values)
    if source.kind in INTEGERS and target.kind in INTEGERS:
        low, high = -(2 ** (_BITS[target.kind] - 1)), 2 ** (_BITS[target.kind] - 1) - 1
        wide = values.cast(pa.int64())
        fits = pc.and_(pc.greater_equal(wide, low), pc.less_equal(wide, high))
        return _exact(pc.if_else(fits, wide, None).cast(arrow_type(target)), values)
    if source.kind in INTEGERS and target.kind is Kind.DOUBLE and integers_are_exact(values):
        return _exact(values.cast(pa.float64(), safe=False), values)
    return _each(canonical_text(values, source), _reader(target), target)


def _reader(target: ColumnType) -> Callable[[Decimal], tuple[Any, bool]]:
    if target.kind in _BITS:
        return partial(_integer, bits=_BITS[target.kind])
    if target.kind is Kind.NUMERIC and target.precision is not None:
        return partial(_decimal, precision=target.precision, scale=target.scale or 0)
    return {Kind.NUMERIC: _numeric, Kind.DOUBLE: _double, Kind.FLOAT32: _real}[target.kind]


def _each(texts: pa.Array, read: Callable[[Decimal], tuple[Any, bool]], target: ColumnType) -> Declared:
    """Reads numbers one by one; ``read`` gives a value, None where none fits, and whether it is rounded."""
    keeps_sign = target.kind in (Kind.DOUBLE, Kind.FLOAT32)
    found, altered, truncated = [], [], []
    for text in texts.to_pylist():
        value, is_rounded, number = None, False, None
        if text is not None and _NUMBER.fullmatch(text):
            number = Decimal(text)
            value, is_rounded = read(number)
        found.append(value)
        truncated.append(is_rounded and value is not None)
        is_signed_zero = number is not None and number.is_zero() and number.is_signed()
        altered.append(is_signed_zero and not keeps_sign)
    made = _exact(pa.array(found, arrow_type(target)), texts)
    return Declared(made.values, made.rejected, pa.array(altered, pa.bool_()), pa.array(truncated, pa.bool_()))


def _integer(number: Decimal, bits: int) -> tuple[int | None, bool]:
    if not number.is_finite() or number.adjusted() > 20 or number != number.to_integral_value():
        return None, False
    value = int(number)
    return (value if -(2 ** (bits - 1)) <= value < 2 ** (bits - 1) else None), False


def _decimal(number: Decimal, precision: int, scale: int) -> tuple[str | None, bool]:
    if number.is_nan():
        return "NaN", False
    try:
        rounded = number.quantize(Decimal(1).scaleb(-scale), context=_CONTEXT)
    except InvalidOperation:
        return None, False
    if not rounded.is_finite() or (rounded and rounded.adjusted() >= precision - scale):
        return None, False
    return format(rounded if rounded else abs(rounded), "f"), rounded != number


def _numeric(number: Decimal) -> tuple[str, bool]:
    return decimal_text(str(number.copy_abs() if number.is_zero() else number)), False


def _double(number: Decimal) -> tuple[float | None, bool]:
    value = float(number)
    is_same = number.is_nan() or Decimal(double_text(value)) == number
    return (value if is_same else None), False


def _real(number: Decimal) -> tuple[float | None, bool]:
    with np.errstate(over="ignore"):
        value = float(np.float32(float(number)))
    if number.is_nan() or Decimal(double_text(value)) == number:
        return value, False
    return (value, True) if Decimal(double_text(value)).is_finite() else (None, False)


def _texts_as_moments(texts: pa.Array, target: ColumnType) -> Declared:
    """Texts that are the canonical text of a moment, of whatever precision."""
    made = _exact(pa.nulls(len(texts), arrow_type(target)), texts)
    for its in _MOMENTS:
        read = coerce(texts, TEXT, its).values
        if read.null_count == len(texts):
            continue
        here = _moments(read, its, target)
        fresh = pc.and_(here.values.is_valid(), made.values.is_null())
        made = _exact(
            pc.if_else(fresh, here.values, made.values),
            texts,
            pc.or_(made.truncated, pc.and_(fresh, here.truncated)),
        )
    return made


def _moments(values: pa.Array, source: ColumnType, target: ColumnType) -> Declared:
    if target.kind is Kind.DATE:
        return _days(values, source)
    if source.kind is Kind.DATE:
        days = values.view(pa.int32()).cast(pa.int64())
        per_day = _DAY[target.unit or "us"]
        most = (2**63 - 1) // per_day
        fits = pc.and_(pc.greater_equal(days, -most), pc.less_equal(days, most))
        moments = pc.multiply(pc.if_else(fits, days, None), per_day)
        return _exact(moments.view(arrow_type(target)), values)
    # The same instant: without a zone, times are in UTC.
    instants = values.view(pa.int64()).view(arrow_type(ColumnType(target.kind, unit=source.unit)))
    return _exact(coerce(instants, ColumnType(target.kind, unit=source.unit), target).values, values)


def _days(values: pa.Array, source: ColumnType) -> Declared:
    if source.kind is Kind.DATE:
        return _exact(values, values)
    per_day = _DAY[source.unit or "us"]
    numbers = np.asarray(values.view(pa.int64()).fill_null(0))
    days, rest = np.divmod(numbers, per_day)
    is_within = (days >= -(2**31)) & (days < 2**31)
    dates = pa.array(np.where(is_within, days, 0).astype(np.int32)).view(pa.date32())
    kept = pc.and_(pa.array(is_within), values.is_valid())
    return _exact(pc.if_else(kept, dates, None), values, pc.and_(kept, pa.array(rest != 0)))
