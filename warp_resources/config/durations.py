"""Spans of time as the file spells them: ``5``, ``"500ms"``, ``"1h30m"``."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

_UNITS = {
    "w": timedelta(weeks=1),
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
}
_PART = r"(\d+(?:\.\d+)?)\s*(ms|[wdhms])"
_TEXT = re.compile(rf"(?:{_PART}\s*)+", re.ASCII)
_NUMBER = re.compile(r"\d+(?:\.\d+)?", re.ASCII)


def parse_duration(value: object) -> timedelta:
    """A number of seconds, or numbers with the units w, d, h, m, s and ms."""
    if isinstance(value, timedelta) and value >= timedelta(0):
        return value
    try:
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0:
            return timedelta(seconds=value)
        if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
            return timedelta(seconds=float(value))
        if isinstance(value, str) and _TEXT.fullmatch(value.strip()):
            return sum((float(count) * _UNITS[unit] for count, unit in re.findall(_PART, value)), timedelta(0))
    except OverflowError:
        pass
    raise PydanticCustomError(
        "duration", 'a number of seconds or a text such as "500ms", "2s", "5m" or "90d" is allowed'
    )


def duration_text(value: timedelta) -> str:
    """The shortest text in one unit that reads back as this duration."""
    for unit, span in _UNITS.items():
        if value and value % span == timedelta(0):
            return f"{value // span}{unit}"
    return f"{value / timedelta(milliseconds=1):g}ms" if value else "0s"


def _positive(value: timedelta) -> timedelta:
    if value <= timedelta(0):
        raise PydanticCustomError("duration", 'more than no time, such as "500ms", "2s" or "5m" is allowed')
    return value


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(duration_text, return_type=str, when_used="json"),
    WithJsonSchema({"type": ["number", "string"], "minimum": 0, "title": "duration"}),
]
PositiveDuration = Annotated[Duration, AfterValidator(_positive)]
