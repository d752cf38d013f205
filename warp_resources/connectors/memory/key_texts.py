"""Reads the text of a key back into the values that it was made of."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from warp_resources.errors import OperatorError

_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00Z")
_DATE_LENGTH = len("2024-05-01")


def key_of(text: str, names: Sequence[str]) -> tuple[Any, ...]:
    """A key, given as a JSON object by column, as rows have it.

    A time of day is not told from a string.
    """
    try:
        fields = json.loads(text)
        return tuple(_value(fields[name]) for name in names)
    except (ValueError, TypeError, KeyError, ArithmeticError) as error:
        raise OperatorError("A key cannot be read", remedy="Report it with the types of the key") from error


def _value(part: Any) -> Any:
    if isinstance(part, list):
        return list(map(_value, part))
    if not isinstance(part, dict):
        # Digits of more than 64 bits are a double's, unless they say that they are a decimal's.
        return float(part) if isinstance(part, int) and not -(2**63) <= part < 2**63 else part
    if len(part) == 1:
        [(name, inner)] = part.items()
        if name in _READERS:
            return _READERS[name](inner)
    return {name: _value(inner) for name, inner in part.items()}


def _time(value: Any) -> date | datetime:
    if isinstance(value, dict):
        return _EPOCH + timedelta(milliseconds=int(value["$numberLong"]))
    return date.fromisoformat(value) if len(value) == _DATE_LENGTH else datetime.fromisoformat(value)


def _binary(value: dict[str, str]) -> bytes | uuid.UUID:
    raw = base64.b64decode(value["base64"])
    return uuid.UUID(bytes=raw) if value.get("subType") == "04" else raw


_READERS: dict[str, Callable[[Any], Any]] = {
    "$numberDouble": float,
    "$numberDecimal": Decimal,
    "$binary": _binary,
    "$uuid": uuid.UUID,
    "$date": _time,
}
