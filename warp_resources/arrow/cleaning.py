"""Removes the characters that a destination cannot store from text and from JSON text."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from warp_resources.arrow.rows import claims, no_rows, replace_rows

_PAIR = r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
# A backslash takes the character after it along, so that an escaped backslash hides no escape.
_ESCAPES = re.compile(rf"{_PAIR}|\\u[0-9a-fA-F]{{4}}|\\.", re.DOTALL)
_SURROGATES = range(0xD800, 0xE000)


@dataclass(frozen=True, slots=True)
class Cleaned:
    """Texts without the refused characters, and a mask of those that had any."""

    values: pa.Array
    changed: pa.Array


def clean_text(values: pa.Array, refused: str) -> Cleaned:
    """Remove the ``refused`` characters."""
    table = dict.fromkeys(map(ord, refused))
    return _clean(values, containing(values, refused), lambda text: text.translate(table))


def clean_json(values: pa.Array, refused: str) -> Cleaned:
    """Remove the ``refused`` characters and lone surrogates, also where JSON text escapes them."""
    codes = "|".join(f"{ord(character):04x}" for character in refused if ord(character) < 0x10000)
    doubtful = pc.match_substring(values, "\\u")
    if pc.any(doubtful).as_py():
        doubtful = pc.match_substring_regex(values, rf"(?i)\\u(d[89a-f]{'|' + codes if codes else ''})")
    table = dict.fromkeys(map(ord, refused))
    forbidden = {*map(ord, refused), *_SURROGATES}
    mask = pc.or_(claims(doubtful), containing(values, refused))
    return _clean(values, mask, lambda text: _without_escapes(text.translate(table), forbidden))


def _clean(values: pa.Array, doubtful: pa.Array, clean: Callable[[str], str]) -> Cleaned:
    if not doubtful.true_count:
        return Cleaned(values, doubtful)
    cleaned = replace_rows(values, doubtful, values, clean)
    return Cleaned(cleaned, claims(pc.not_equal(cleaned, values)))


def containing(values: pa.Array, characters: str) -> pa.Array:
    """A mask of the texts that contain any of the characters."""
    mask = no_rows(len(values))
    for character in characters:
        mask = pc.or_(mask, claims(pc.match_substring(values, character)))
    return mask


def _without_escapes(text: str, forbidden: set[int]) -> str:
    def kept(match: re.Match[str]) -> str:
        escape = match[0]
        is_single = len(escape) == 6
        return "" if is_single and int(escape[2:], 16) in forbidden else escape

    return _ESCAPES.sub(kept, text)
