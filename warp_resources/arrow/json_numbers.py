"""Makes strings of the numbers within JSON text that neither a 64-bit integer nor a double holds."""

from __future__ import annotations

import re
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from warp_resources.arrow.cleaning import Cleaned
from warp_resources.arrow.rows import claims, replace_rows

# What a double may lose: sixteen characters or more, or an exponent. A string rarely has such after a colon or comma.
_DOUBTFUL = r"(?:^|[\[:,])\s*-?[0-9](?:[0-9.]{15}|[0-9.]*[eE])"
# Strings, to pass over whatever is in them, and the numbers that may be too wide.
_TOKENS = re.compile(
    r'"[^"\\]*(?:\\.[^"\\]*)*"|-?[0-9](?:[0-9.]{15,}(?:[eE][+-]?[0-9]+)?|[0-9.]*[eE][+-]?[0-9]+)', re.DOTALL
)
_INTEGER = re.compile(r"-?[0-9]+")
_INTEGERS = range(-(2**63), 2**64)


def quote_wide_numbers(values: pa.Array) -> Cleaned:
    """JSON texts in which each number that would lose a digit is a string with all of its digits."""
    doubtful = claims(pc.match_substring_regex(values, _DOUBTFUL))
    if not doubtful.true_count:
        return Cleaned(values, doubtful)
    quoted = replace_rows(values, doubtful, values, _quoted)
    return Cleaned(quoted, claims(pc.not_equal(quoted, values)))


def _quoted(text: str) -> str:
    return _TOKENS.sub(lambda match: match[0] if _survives(match[0]) else f'"{match[0]}"', text)


def _survives(token: str) -> bool:
    """Whether a string, or a number, is read back as it was written."""
    if token.startswith('"'):
        return True
    if _INTEGER.fullmatch(token):
        return len(token) <= 20 and int(token) in _INTEGERS
    value = float(token)
    if repr(value) == token:
        return True
    return value not in (float("inf"), float("-inf")) and Decimal(repr(value)) == Decimal(token)
