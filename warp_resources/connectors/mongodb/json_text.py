"""Writes sub-documents, arrays and BSON's odd types as canonical JSON text.

``orjson`` writes most of it. What it would change without saying so (NaN and infinities become
null, 3.0 stays 3.0, code passes as a string) is found first and put right before it writes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import accumulate, chain
from math import copysign
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from bson import DatetimeMS, Decimal128, Int64, ObjectId
from bson.binary import Binary

from warp_resources.arrow.numbers import decimal_text, double_text
from warp_resources.connectors.mongodb.scalars import binary_text, date_text, decimal_literal, relaxed

_ENDLESS = frozenset({"NaN", "Infinity", "-Infinity"})
# orjson's and ECMAScript's spellings of fractions agree from here up.
_SMALLEST_PLAIN_FRACTION = 1e-4
_LARGEST_EXACT = 2.0**53
_UTC = orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z
_WHOLE_SECOND_LENGTH = len('"2000-01-01T00:00:00Z"')
_PASS_DATES = orjson.OPT_PASSTHROUGH_DATETIME
_PASS_SUBCLASSES = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS
# The types of which orjson or `_spell` writes every value right without OPT_PASSTHROUGH_SUBCLASS.
_PLAIN = frozenset({
    type(None), bool, int, Int64, float, str, dict, list, ObjectId, datetime, DatetimeMS, bytes, Binary, Decimal128
})  # fmt: skip


def json_texts(values: Sequence[Any]) -> pa.Array:
    """Each value as canonical JSON text, None as null. Changes floats inside ``values`` in place."""
    options = _PASS_DATES if _mend_floats(values) <= _PLAIN else _PASS_SUBCLASSES
    try:
        texts = [None if value is None else orjson.dumps(value, _spell, options) for value in values]
    except orjson.JSONEncodeError:
        # Nested deeper than orjson goes.
        texts = [None if value is None else json_text(value).encode() for value in values]
    return pa.array(texts, pa.string())


def json_text(value: Any) -> str:
    """One value as canonical JSON text, however deep."""
    if isinstance(value, dict):
        fields = (f"{orjson.dumps(name).decode()}:{json_text(item)}" for name, item in value.items())
        return "{" + ",".join(fields) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(json_text, value)) + "]"
    if isinstance(value, float):
        value = _float(value)
    return orjson.dumps(value, _spell, _PASS_SUBCLASSES).decode()


def has_negative_zero(text: str) -> bool:
    """Whether a number in JSON text is a zero with a minus sign."""
    found = False

    def read(number: str) -> None:
        nonlocal found
        found = found or (number[0] == "-" and not number.lower().partition("e")[0].strip("-0."))

    if "-0" in text:
        json.loads(text, parse_float=read, parse_int=read)
    return found


def _mend_floats(values: Sequence[Any]) -> set[type]:
    """Put each float that orjson would spell otherwise into its right form; the types seen."""
    seen: set[type] = set()
    level: list[Any] = [value for value in values if value is not None]
    kinds = set(map(type, level))
    while kinds:
        seen |= kinds
        dicts = [value for value in level if type(value) is dict] if dict in kinds else []
        lists = [value for value in level if type(value) is list] if list in kinds else []
        level = [*chain.from_iterable(map(dict.values, dicts)), *chain.from_iterable(lists)]
        kinds = set(map(type, level))
        if float in kinds:
            _mend([*dicts, *lists], level)
    return seen


def _mend(containers: list[Any], items: list[Any]) -> None:
    places = [place for place, item in enumerate(items) if type(item) is float]
    floats = np.array([items[place] for place in places])
    with np.errstate(invalid="ignore"):
        odd = np.flatnonzero(~((floats % 1 != 0) & np.isfinite(floats) & (np.abs(floats) >= _SMALLEST_PLAIN_FRACTION)))
    if not len(odd):
        return
    ends = np.fromiter(accumulate(map(len, containers)), np.int64, len(containers))
    places_of_odd = np.array(places)[odd]
    for place, index in zip(
        places_of_odd.tolist(), np.searchsorted(ends, places_of_odd, "right").tolist(), strict=True
    ):
        container = containers[index]
        within = place - int(ends[index]) + len(container)
        container[within if type(container) is list else list(container)[within]] = _float(items[place])


def _float(value: float) -> object:
    if value % 1 == 0 and -_LARGEST_EXACT <= value <= _LARGEST_EXACT and (value or copysign(1, value) > 0):
        return int(value)
    return _number(double_text(value))


def _number(text: str) -> object:
    return text if text in _ENDLESS else orjson.Fragment(text)


def _decimal(value: Decimal128) -> object:
    return _number(decimal_text(decimal_literal(value)))


def _date(value: datetime) -> orjson.Fragment:
    # orjson spells microseconds, and none where they are zero; BSON has milliseconds.
    text = orjson.dumps(value, None, _UTC)
    return orjson.Fragment(text[:24] + b'Z"' if len(text) > _WHOLE_SECOND_LENGTH else text[:20] + b'.000Z"')


_SPELLINGS: dict[type, Callable[[Any], object]] = {
    ObjectId: str,
    datetime: _date,
    DatetimeMS: date_text,
    Int64: int,
    Decimal128: _decimal,
    bytes: binary_text,
    Binary: binary_text,
}


def _spell(value: Any) -> object:
    spell = _SPELLINGS.get(type(value))
    return spell(value) if spell else orjson.Fragment(relaxed(value))
