"""Finds the values that a destination cannot hold."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

import pyarrow as pa
import pyarrow.compute as pc

from warp_resources.arrow.rows import claims, no_rows, replace_rows
from warp_resources.arrow.times import UNITS_PER_SECOND

_MOST_IN_PATTERN = 400
"""Repetitions that a regular expression is asked for: it allows a thousand in all."""


def outside_range(timestamps: pa.Array, bounds: tuple[int, int]) -> pa.Array:
    """A mask of the timestamps outside ``bounds``, which are in microseconds since 1970."""
    per_unit = 1_000_000 // UNITS_PER_SECOND[timestamps.type.unit]
    first, last = max(-(bounds[0] * -1 // per_unit), -(2**63)), min(bounds[1] // per_unit, 2**63 - 1)
    numbers = timestamps.view(pa.int64())
    return claims(pc.or_(pc.less(numbers, first), pc.greater(numbers, last)))


def outside_dates(dates: pa.Array, bounds: tuple[int, int]) -> pa.Array:
    """A mask of the dates outside ``bounds``, which are in days since 1970."""
    days = dates.view(pa.int32())
    return claims(pc.or_(pc.less(days, bounds[0]), pc.greater(days, bounds[1])))


def too_many_digits(literals: pa.Array, digits: tuple[int, int], specials: bool = True) -> pa.Array:
    """A mask of the decimal literals with more than ``digits`` (before, after) the point.

    Args:
        specials: NaN and the infinities fit.
    """
    if min(digits) <= _MOST_IN_PATTERN:
        before, after = (min(its, _MOST_IN_PATTERN) for its in digits)
        doubtful = pc.invert(pc.match_substring_regex(literals, rf"^-?[0-9]{{1,{before}}}(\.[0-9]{{1,{after}}})?$"))
    else:
        doubtful = pc.or_(
            pc.greater(pc.binary_length(literals), min(digits)),
            pc.match_substring_regex(literals, "[eE]" if specials else "[eEnN]"),
        )
    return replace_rows(
        no_rows(len(literals)), doubtful, literals, lambda literal: not _fits(literal, digits, specials)
    )


def longer_than(values: pa.Array, max_bytes: int) -> pa.Array:
    """A mask of the texts or binaries of more than ``max_bytes`` bytes."""
    return claims(pc.greater(pc.binary_length(values), max_bytes))


def _fits(literal: str, digits: tuple[int, int], specials: bool) -> bool:
    try:
        value = Decimal(literal)
    except InvalidOperation:
        return False
    if not value.is_finite():
        return specials
    scale = -int(value.as_tuple().exponent)
    return value.adjusted() < digits[0] and scale <= digits[1]
