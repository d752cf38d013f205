"""Writes nested and repeated values as JSON, by the fields that BigQuery declares of them."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, TypeAlias

from google.cloud.bigquery import SchemaField

from warp_resources.arrow.numbers import decimal_text, double_text
from warp_resources.connectors.bigquery.fields import JSON, RANGE, RECORD, REPEATED, type_name

Spell: TypeAlias = Callable[[Any], str]
"""Writes one value, which may be None, as JSON."""


def speller(field: SchemaField, *, extended: bool = False) -> Spell:
    """What writes the values of a field.

    Args:
        extended: relaxed extended JSON, which tells types apart, instead of canonical JSON.
    """
    one = _one(field, extended=extended)
    if field.mode != REPEATED:
        return one
    return lambda values: "null" if values is None else "[" + ",".join(map(one, values)) + "]"


def _one(field: SchemaField, *, extended: bool) -> Spell:
    name = type_name(field)
    if name == RECORD:
        return _object([(part.name, part.name, speller(part, extended=extended)) for part in field.fields])
    if name == RANGE:
        return _range((_EXTENDED if extended else _PLAIN)[field.range_element_type.element_type])
    scalar = (_EXTENDED if extended else _PLAIN).get(name, _quoted)
    return lambda value: "null" if value is None else scalar(value)


def _object(parts: list[tuple[str, str, Spell]]) -> Spell:
    spelled = [(json.dumps(shown, ensure_ascii=False) + ":", name, spell) for shown, name, spell in parts]

    def spell(value: Any) -> str:
        if value is None:
            return "null"
        return "{" + ",".join(head + its(value.get(name)) for head, name, its in spelled) + "}"

    return spell


def _range(scalar: Spell) -> Spell:
    def bound(value: Any) -> str:
        return "null" if value is None else scalar(value)

    def spell(value: Any) -> str:
        if value is None:
            return "null"
        # The two bounds, whatever they are called.
        start, end = value.values()
        return f'{{"start":{bound(start)},"end":{bound(end)}}}'

    return spell


def plain_decimal(value: Decimal) -> str:
    """A decimal without the zeros at its end, which BigQuery keeps no number of."""
    text = format(value, "f")
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"


def interval_text(value: Any) -> str:
    """An interval as BigQuery prints it: ``[-]Y-M [-]D [-]H:M:S[.F]``."""
    if isinstance(value, str):
        return value
    months, days, nanoseconds = value.months, value.days, value.nanoseconds
    years, rest = divmod(abs(months), 12)
    seconds, fraction = divmod(abs(nanoseconds), 10**9)
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    ending = f".{fraction:09d}".rstrip("0") if fraction else ""
    return (
        f"{'-' if months < 0 else ''}{years}-{rest} {days} "
        f"{'-' if nanoseconds < 0 else ''}{hours}:{minute}:{second}{ending}"
    )


def _quoted(value: Any) -> str:
    return json.dumps(value if isinstance(value, str) else str(value), ensure_ascii=False)


def _number(text: str) -> str:
    return text if text[-1].isdigit() else f'"{text}"'


def moment_text(value: date | time) -> str:
    """The canonical text of a date, a time of day, or a moment with or without a zone."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
    return value.isoformat()


def _binary(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _moment(value: date | time) -> str:
    return f'"{moment_text(value)}"'


def _extended_double(value: float) -> str:
    text = double_text(float(value))
    return text if math.isfinite(value) else f'{{"$numberDouble":"{text}"}}'


_PLAIN: dict[str, Spell] = {
    "INT64": str,
    "FLOAT64": lambda value: _number(double_text(float(value))),
    "BOOL": lambda value: "true" if value else "false",
    "NUMERIC": lambda value: decimal_text(plain_decimal(value)),
    "BIGNUMERIC": lambda value: decimal_text(plain_decimal(value)),
    "BYTES": lambda value: f'"{_binary(value)}"',
    "TIMESTAMP": _moment,
    "DATETIME": _moment,
    "DATE": _moment,
    "TIME": _moment,
    "INTERVAL": lambda value: _quoted(interval_text(value)),
    JSON: str,
}
_EXTENDED: dict[str, Spell] = {
    **_PLAIN,
    "FLOAT64": _extended_double,
    "NUMERIC": lambda value: f'{{"$numberDecimal":"{plain_decimal(value)}"}}',
    "BIGNUMERIC": lambda value: f'{{"$numberDecimal":"{plain_decimal(value)}"}}',
    "BYTES": lambda value: f'{{"$binary":{{"base64":"{_binary(value)}","subType":"00"}}}}',
    "TIMESTAMP": lambda value: f'{{"$date":{_moment(value)}}}',
}
