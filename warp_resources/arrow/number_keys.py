"""Spells numbers that are keys, so that equal ones read alike whatever their type, and others do not.

The double 0.1 and the decimal 0.1 are two numbers, although both are written ``0.1``. That text is the double's. A
decimal that is no 64-bit integer and exactly no double is written ``{"$numberDecimal": "0.1"}``.
"""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from warp_resources.arrow.numbers import (
    LARGEST_EXACT,
    double_text,
    doubles_as_text,
    number_key,
    numbers_as_keys,
)
from warp_resources.arrow.rows import claims, replace_rows

_BEYOND_INT64 = 2**63
_INT64_DIGITS = 19
_PLAIN_INTEGER = r"^(0|-?[1-9][0-9]{0,17})$"
_MOST_EXACT_DIGITS = 15


def integers_are_doubles(values: pa.Array) -> bool:
    """Whether each integer is a double, as all up to 2^53 are; larger ones may not be."""
    bounds = pc.min_max(values)
    low, high = bounds["min"].as_py(), bounds["max"].as_py()
    return low is None or bool(low >= -LARGEST_EXACT and high <= LARGEST_EXACT)


def doubles_as_keys(values: pa.Array) -> pa.Array:
    """The key text of float32 or float64 values."""
    return _with_whole(numbers_as_keys(doubles_as_text(values)), values)


def doubles_as_numerics(literals: pa.Array, values: pa.Array) -> pa.Array:
    """Decimal literals of doubles, with all digits of those that are 64-bit integers."""
    return _with_whole(literals, values)


def decimals_as_keys(literals: pa.Array) -> pa.Array:
    """The key text of decimal literals."""
    plain = pc.match_substring_regex(literals, _PLAIN_INTEGER)
    return replace_rows(literals, pc.invert(plain), literals, decimal_key)


def decimals_as_doubles(literals: pa.Array) -> pa.Array:
    """Decimal literals, those of doubles of many digits written as the double is: equal keys are stored alike."""
    long = pc.greater(pc.binary_length(literals), _MOST_EXACT_DIGITS)
    return replace_rows(literals, long, literals, _as_double)


def brings_decimals(literals: pa.Array) -> bool:
    """Whether any decimal is neither a 64-bit integer nor a double."""
    return bool(pc.any(pc.starts_with(decimals_as_keys(literals), '{"$numberDecimal"')).as_py())


def brings_rounded_doubles(values: pa.Array) -> bool:
    """Whether any double is written as a decimal that is another number, as 0.1 is."""
    values = values.cast(pa.float64())
    whole = claims(pc.and_(_is_int64(values), pc.equal(values, pc.trunc(values))))
    doubtful = pc.and_(pc.is_finite(values), pc.invert(whole))
    return any(Decimal(repr(value)) != Decimal(value) for value in values.filter(claims(doubtful)).to_pylist())


def double_key(value: float) -> str:
    """The key text of one double."""
    if -_BEYOND_INT64 <= value < _BEYOND_INT64 and value.is_integer():
        return str(int(value))
    return number_key(double_text(value))


def decimal_key(literal: str) -> str:
    """The key text of one decimal literal."""
    value = Decimal(literal)
    if not value.is_finite():
        return number_key(literal)
    if not value or (value.adjusted() < _INT64_DIGITS and value == value.to_integral_value() and _is_small(value)):
        return str(int(value))
    nearest = _nearest_double(value)
    if nearest is not None and Decimal(nearest) == value:
        return double_key(nearest)
    return f'{{"$numberDecimal": "{number_key(literal)}"}}'


def _is_small(value: Decimal) -> bool:
    return -_BEYOND_INT64 <= value < _BEYOND_INT64


def _nearest_double(value: Decimal) -> float | None:
    nearest = float(value)
    return nearest if nearest and Decimal(nearest).is_finite() else None


def _as_double(literal: str) -> str:
    text = decimal_key(literal)
    if text.startswith("{"):
        return literal
    return literal if Decimal(text) == Decimal(literal) else text


def _with_whole(texts: pa.Array, values: pa.Array) -> pa.Array:
    """The texts with the digits of the doubles between 2^53 and 2^63, all of which are whole."""
    values = values.cast(pa.float64())
    large = claims(pc.and_(_is_int64(values), pc.greater_equal(pc.abs(values), float(LARGEST_EXACT))))
    if not large.true_count:
        return texts
    return pc.if_else(large, pc.if_else(large, values, None).cast(pa.int64()).cast(pa.string()), texts)


def _is_int64(values: pa.Array) -> pa.Array:
    bound = float(_BEYOND_INT64)
    return claims(pc.and_(pc.greater_equal(values, -bound), pc.less(values, bound)))
