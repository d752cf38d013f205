"""Amounts of memory as the file spells them: ``1000000``, ``"384MB"``, ``"1GiB"``."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

_UNITS = {
    "B": 1,
    **{f"{prefix}B": 1000**power for power, prefix in enumerate("KMGT", start=1)},
    **{f"{prefix}iB": 1024**power for power, prefix in enumerate("KMGT", start=1)},
}
_BY_SPELLING = {
    spelling.lower(): factor
    for unit, factor in _UNITS.items()
    for spelling in {unit, unit.removesuffix("B")}  # `384Mi` and `1G` are how Kubernetes writes them.
}
_TEXT = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)", re.ASCII)


def parse_size(value: object) -> int:
    """A positive number of bytes: MB is 10^6 bytes, MiB is 2^20."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    match = _TEXT.fullmatch(value.strip()) if isinstance(value, str) else None
    if match and match[2].lower() in _BY_SPELLING:
        size: int = round(float(match[1]) * _BY_SPELLING[match[2].lower()])
        if size > 0:
            return size
    raise PydanticCustomError("size", 'a number of bytes or a text such as "384MB" or "1GiB" is allowed')


def size_text(value: int) -> str:
    """The text in the largest unit that reads back as this size."""
    unit = max((unit for unit, factor in _UNITS.items() if value % factor == 0), key=lambda unit: _UNITS[unit])
    return f"{value // _UNITS[unit]}{unit}"


Size = Annotated[
    int,
    BeforeValidator(parse_size),
    PlainSerializer(size_text, return_type=str, when_used="json"),
    WithJsonSchema({"type": ["integer", "string"], "title": "size"}),
]
