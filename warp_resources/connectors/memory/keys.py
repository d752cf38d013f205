"""Spells a source key as one text that tells keys apart and puts them in order."""

from __future__ import annotations

import json
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any


def spell_key(key: tuple[Any, ...]) -> str:
    """The text of a key: equal for equal numbers whatever their type, different for all else."""
    return json.dumps([_spell(value) for value in key], ensure_ascii=False)


def _spell(value: Any) -> list[str]:
    """Family first, so that families stand apart in the order of texts."""
    if isinstance(value, bool):
        return ["bool", str(value)]
    if isinstance(value, int | float | Decimal):
        return ["number", _number(value)]
    if isinstance(value, datetime):
        return ["datetime", value.isoformat()]
    if isinstance(value, date | time):
        return [type(value).__name__, value.isoformat()]
    if isinstance(value, bytes):
        return ["bytes", value.hex()]
    return [type(value).__name__, str(value) if not isinstance(value, dict | list) else repr(value)]


def _number(value: int | float | Decimal) -> str:
    exact = Decimal(value)
    if not exact.is_finite():
        return str(exact)
    is_negative, digits, exponent = exact.as_tuple()
    text = "".join(map(str, digits)).lstrip("0")
    kept = text.rstrip("0")
    if not kept:
        return "0"
    return f"{'-' if is_negative else ''}{kept}e{int(exponent) + len(text) - len(kept)}"
