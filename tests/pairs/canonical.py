"""The canonical text of values (SPEC 5), written down a second time, to judge what arrived."""

from __future__ import annotations

import base64
import json
import math
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from bson import Binary, Code, DatetimeMS, DBRef, Decimal128, MaxKey, MinKey, ObjectId, Regex, Timestamp, json_util

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def text_of(value: Any) -> str:
    """The canonical text of a scalar."""
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value) if abs(value) < 10**21 else number_text(Decimal(value))
        case float():
            return double_text(value)
        case Decimal128():
            return decimal_text(value.to_decimal())
        case str():
            return value
        case datetime():
            return moment_text(round((value - _EPOCH) / timedelta(milliseconds=1)))
        case DatetimeMS():
            return moment_text(int(value))
        case ObjectId():
            return str(value)
        case Binary() if value.subtype == 4 and len(value) == 16:
            return str(value.as_uuid())
        case bytes():
            return base64.b64encode(value).decode()
        case uuid.UUID():
            return str(value)
    return json_util.dumps(value, json_options=json_util.RELAXED_JSON_OPTIONS)


def double_text(value: float) -> str:
    """As ECMAScript prints it, but for the sign of zero."""
    if math.isnan(value) or math.isinf(value):
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]
    if value == 0:
        return "-0" if math.copysign(1, value) < 0 else "0"
    return number_text(Decimal(repr(value)).normalize())


def decimal_text(value: Decimal) -> str:
    """With its scale."""
    if not value.is_finite():
        return {"NaN": "NaN", "Infinity": "Infinity", "-Infinity": "-Infinity"}[str(value)]
    exponent = int(value.as_tuple().exponent)
    if value and value.adjusted() < -6:
        return number_text(value)
    return f"{value:f}" if exponent <= 0 and abs(value) < 10**21 else number_text(value.normalize())


def number_text(value: Decimal) -> str:
    sign, digits, exponent = value.as_tuple()
    text, point = "".join(map(str, digits)), len(digits) + int(exponent)
    if len(text) <= point <= 21:
        body = text + "0" * (point - len(text))
    elif 0 < point <= 21:
        body = f"{text[:point]}.{text[point:]}"
    elif -6 < point <= 0:
        body = f"0.{'0' * -point}{text}"
    else:
        body = f"{text[0]}{'.' if text[1:] else ''}{text[1:]}e{point - 1:+d}"
    return f"-{body}" if sign else body


def moment_text(milliseconds: int) -> str:
    """Three decimals; a sign and six digits of the year where it has not four."""
    days, rest = divmod(milliseconds, 86_400_000)
    # Days of the proleptic Gregorian calendar repeat every 400 years.
    cycles, days = divmod(days, 146_097)
    day = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=days, milliseconds=rest)
    year = day.year + 400 * cycles
    spelled = f"{year:04d}" if 1 <= year <= 9999 else f"{'-' if year < 0 else '+'}{abs(year):06d}"
    return f"{spelled}-{day:%m-%dT%H:%M:%S}.{day.microsecond // 1000:03d}Z"


def key_text(key: Any) -> str:
    """A key as relaxed extended JSON, numbers by their value."""
    if isinstance(key, (int, float)) and not isinstance(key, bool):
        return text_of(key) if not isinstance(key, float) or math.isfinite(key) else json_util.dumps(key)
    return json_util.dumps(key, json_options=json_util.RELAXED_JSON_OPTIONS)


def json_value(value: Any) -> Any:
    """A value as JSON that keeps all digits, to be compared with what ``read_json`` gives."""
    match value:
        case Code():
            # A string to Python, and a document of its own to BSON.
            return read_json(json_util.dumps(value, json_options=json_util.RELAXED_JSON_OPTIONS))
        case None | bool() | str():
            return value
        case dict():
            return {name: json_value(its) for name, its in value.items()}
        case list():
            return list(map(json_value, value))
        case int():
            return Decimal(value)
        case float() if math.isfinite(value):
            return Decimal(repr(value))
        case Decimal128() if value.to_decimal().is_finite():
            return value.to_decimal()
        case Regex() | Timestamp() | MinKey() | MaxKey() | DBRef():
            return read_json(text_of(value))
    return text_of(value)


def read_json(text: str) -> Any:
    """JSON text with its numbers as decimals."""
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)
