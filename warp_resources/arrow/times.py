"""Spells timestamps, dates and times of day as canonical text, and reads them back, for every year.

Source of the calendar arithmetic: https://howardhinnant.github.io/date_algorithms.html
"""

from __future__ import annotations

import re
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from warp_resources.arrow.rows import replace_rows
from warp_resources.model.tables import ColumnType, Kind

UNITS_PER_SECOND = {"ms": 1_000, "us": 1_000_000}
_DAY_SECONDS = 86_400
_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896  # 0001-01-01 and 9999-12-31

_DATE = r"([0-9]{4}|[+-][0-9]{6,9})-([0-9]{2})-([0-9]{2})"
_TIME = r"([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,6}))?"
_DATE_TEXT = re.compile(_DATE)
_TIME_TEXT = re.compile(_TIME)
_TIMESTAMP_TEXT = re.compile(f"{_DATE}T{_TIME}Z?")


def timestamps_as_text(values: pa.Array, column_type: ColumnType) -> pa.Array:
    """Canonical text of timestamps: three decimals for ``ms``, six or none for ``us``."""
    unit = column_type.unit or "us"
    has_zone = column_type.kind is Kind.TIMESTAMP_TZ
    numbers = values.view(pa.int64())
    scale = UNITS_PER_SECOND[unit] * _DAY_SECONDS
    odd = _outside(numbers, _FIRST_DAY * scale, (_LAST_DAY + 1) * scale - 1)
    usual = pc.if_else(pc.invert(odd), numbers, None).cast(pa.timestamp(unit))
    text = pc.replace_substring(usual.cast(pa.string()), " ", "T", max_replacements=1)
    if unit == "us":
        text = pc.replace_substring_regex(text, r"\.000000$", "")
    if has_zone:
        text = pc.binary_join_element_wise(text, "Z", "")
    return replace_rows(text, odd, numbers, partial(timestamp_text, unit=unit, has_zone=has_zone))


def dates_as_text(values: pa.Array) -> pa.Array:
    """Canonical text of dates."""
    numbers = values.view(pa.int32())
    odd = _outside(numbers, _FIRST_DAY, _LAST_DAY)
    text = pc.if_else(pc.invert(odd), numbers, None).cast(pa.date32()).cast(pa.string())
    return replace_rows(text, odd, numbers, date_text)


def times_as_text(values: pa.Array) -> pa.Array:
    """Canonical text of times of day."""
    return pc.replace_substring_regex(values.cast(pa.string()), r"\.000000$", "")


def timestamp_text(value: int, unit: str, has_zone: bool) -> str:
    """Canonical text of one timestamp, counted in ``unit`` since 1970."""
    seconds, fraction = divmod(value, UNITS_PER_SECOND[unit])
    days, seconds = divmod(seconds, _DAY_SECONDS)
    minutes, second = divmod(seconds, 60)
    decimals = f".{fraction:03d}" if unit == "ms" else f".{fraction:06d}" if fraction else ""
    clock = f"{minutes // 60:02d}:{minutes % 60:02d}:{second:02d}{decimals}"
    return f"{date_text(days)}T{clock}{'Z' if has_zone else ''}"


def date_text(days: int) -> str:
    """Canonical text of one date, counted in days since 1970, in the proleptic Gregorian calendar."""
    era, day_of_era = divmod(days + 719_468, 146_097)
    year_of_era = (day_of_era - day_of_era // 1_460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * shifted + 2) // 5 + 1
    month = shifted + (3 if shifted < 10 else -9)
    year = year_of_era + era * 400 + (month <= 2)
    spelled = f"{year:04d}" if 1 <= year <= 9999 else f"{'-' if year < 0 else '+'}{abs(year):06d}"
    return f"{spelled}-{month:02d}-{day:02d}"


def read_timestamp(text: str, unit: str) -> int | None:
    """The timestamp that a text may mean, in ``unit`` since 1970; None where it means none."""
    match = _TIMESTAMP_TEXT.fullmatch(text)
    if match is None:
        return None
    days = _days(match[1], match[2], match[3])
    value = (days * _DAY_SECONDS * 1_000_000 + _microseconds(match, 4)) // (1_000_000 // UNITS_PER_SECOND[unit])
    return value if -(2**63) <= value < 2**63 else None


def read_date(text: str) -> int | None:
    """The days since 1970 that a text may mean; None where it means no date."""
    match = _DATE_TEXT.fullmatch(text)
    if match is None:
        return None
    days = _days(match[1], match[2], match[3])
    return days if -(2**31) <= days < 2**31 else None


def read_time(text: str) -> int | None:
    """The microseconds since midnight that a text may mean; None where it means no time of day."""
    match = _TIME_TEXT.fullmatch(text)
    value = None if match is None else _microseconds(match, 1)
    return value if value is not None and value < _DAY_SECONDS * 1_000_000 else None


def _outside(values: pa.Array, first: int, last: int) -> pa.Array:
    return pc.or_(pc.less(values, first), pc.greater(values, last))


def _days(year_text: str, month_text: str, day_text: str) -> int:
    year, month, day = int(year_text), int(month_text), int(day_text)
    year -= month <= 2
    era, year_of_era = divmod(year, 400)
    day_of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146_097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719_468


def _microseconds(match: re.Match[str], first: int) -> int:
    seconds = int(match[first]) * 3_600 + int(match[first + 1]) * 60 + int(match[first + 2])
    return seconds * 1_000_000 + int((match[first + 3] or "").ljust(6, "0"))
