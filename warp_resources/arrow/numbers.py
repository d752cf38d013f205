"""Spells numbers: as canonical text, and as the text that stands for their value in a key.

Source of the double's form: ECMAScript Number::toString, https://tc39.es/ecma262/#sec-numeric-types-number-tostring
"""

from __future__ import annotations

import math
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from warp_resources.arrow.rows import claims, replace_rows

LARGEST_EXACT = 2**53
_PLAIN_DIGITS = 21
_PLAIN_INTEGER = r"^-?(0|[1-9][0-9]{0,20})$"
_PLAIN_FRACTION = r"^-?(0|[1-9][0-9]*)\.[0-9]+$"
_TINY_FRACTION = r"^-?0\.000000"


def integers_are_exact(values: pa.Array) -> bool:
    """Whether each integer, read from a double, shows the same digits."""
    bounds = pc.min_max(values)
    low, high = bounds["min"].as_py(), bounds["max"].as_py()
    if low is None or (low >= -LARGEST_EXACT and high <= LARGEST_EXACT):
        return True
    beyond = pc.or_(pc.less(values, -LARGEST_EXACT), pc.greater(values, LARGEST_EXACT))
    return all(double_text(float(value)) == str(value) for value in values.filter(claims(beyond)).to_pylist())


def doubles_as_text(values: pa.Array) -> pa.Array:
    """Canonical text of float32 or float64 values; a float32 reads as the double of its value."""
    values = values.cast(pa.float64())
    text = values.cast(pa.string())
    small = claims(pc.less_equal(pc.abs(values), float(LARGEST_EXACT)))
    whole = pc.and_(small, claims(pc.equal(values, pc.trunc(values))))
    whole = pc.and_(whole, pc.not_equal(text, "-0").fill_null(False))
    digits = pc.if_else(whole, values, None).cast(pa.int64()).cast(pa.string())
    text = pc.if_else(whole, digits, text)
    odd = pc.or_(pc.match_substring(text, "e+"), pc.invert(pc.is_finite(values)))
    return replace_rows(text, odd, values, double_text)


def numerics_as_text(values: pa.Array) -> pa.Array:
    """Canonical text of decimal literals: a function of value and scale, whatever the literal's form."""
    fraction = pc.match_substring_regex(values, _PLAIN_FRACTION)
    tiny = pc.match_substring_regex(values, _TINY_FRACTION)
    plain = pc.or_(pc.match_substring_regex(values, _PLAIN_INTEGER), pc.and_not(fraction, tiny))
    return replace_rows(values, pc.invert(plain), values, decimal_text)


def numbers_as_keys(text: pa.Array) -> pa.Array:
    """Canonical text of numbers, made the same for equal numbers whatever their type and scale."""
    plain = pc.match_substring_regex(text, r"^(-?[1-9][0-9]*|0)$|^-?(0|[1-9][0-9]*)\.[0-9]*[1-9]$")
    tiny = pc.match_substring_regex(text, r"^-?0\.0000")
    return replace_rows(text, pc.or_(pc.invert(plain), tiny), text, number_key)


def numbers_as_values(text: pa.Array) -> pa.Array:
    """Canonical text of numbers without the zeros that only show a decimal's scale, so that equal ones read alike."""
    padded = pc.match_substring_regex(text, r"^-?[0-9]+\.[0-9]*0(e|$)")
    return replace_rows(text, padded, text, _value_text)


def negative_zeros(literals: pa.Array) -> pa.Array:
    """A mask of the decimal literals that are zero with a minus sign."""
    return claims(pc.match_substring_regex(literals, r"^-(0+\.?0*|\.0+)([eE].*)?$"))


def double_text(value: float) -> str:
    """Canonical text of one double."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    sign, digits, exponent = _stripped(Decimal(repr(value)))
    return sign + _spell(digits, exponent)


def decimal_text(literal: str) -> str:
    """Canonical text of one decimal literal, keeping its scale and the sign of a zero."""
    value = Decimal(literal)
    if not value.is_finite():
        return "NaN" if value.is_nan() else "Infinity" if value > 0 else "-Infinity"
    sign, digits, exponent = _parts(value)
    if digits == "0":
        return sign + ("0" if exponent >= 0 else "0." + "0" * -exponent)
    return sign + _spell(digits, exponent)


def number_key(text: str) -> str:
    """One number, given as canonical text, as relaxed extended JSON that depends on its value only."""
    value = Decimal(text)
    if not value.is_finite():
        return f'{{"$numberDouble": "{decimal_text(text)}"}}'
    sign, digits, exponent = _stripped(value)
    if digits == "0":
        return "0"
    adjusted = len(digits) + exponent - 1
    # As Python's repr, which json_util prints doubles with.
    if exponent < 0 and adjusted < -4:
        return f"{sign}{_mantissa(digits)}e-{-adjusted:02d}"
    return sign + _spell(digits, exponent)


def _value_text(literal: str) -> str:
    sign, digits, exponent = _stripped(Decimal(literal))
    return sign + _spell(digits, exponent)


def _parts(value: Decimal) -> tuple[str, str, int]:
    # Not Decimal arithmetic, which would round to the context's precision.
    negative, digits, exponent = value.as_tuple()
    return "-" if negative else "", "".join(map(str, digits)).lstrip("0") or "0", int(exponent)


def _stripped(value: Decimal) -> tuple[str, str, int]:
    sign, digits, exponent = _parts(value)
    kept = digits.rstrip("0")
    return (sign, kept, exponent + len(digits) - len(kept)) if kept else (sign, "0", 0)


def _spell(digits: str, exponent: int) -> str:
    adjusted = len(digits) + exponent - 1
    if exponent >= 0:
        if adjusted < _PLAIN_DIGITS:
            return digits + "0" * exponent
        return f"{_mantissa(digits.rstrip('0'))}e+{adjusted}"
    if adjusted < -6:
        return f"{_mantissa(digits)}e-{-adjusted}"
    padded = digits.rjust(1 - exponent, "0")
    return f"{padded[:exponent]}.{padded[exponent:]}"


def _mantissa(digits: str) -> str:
    return digits if len(digits) == 1 else f"{digits[0]}.{digits[1:]}"
