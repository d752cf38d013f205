"""Characters and numbers that a destination cannot hold."""

from __future__ import annotations

import json
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warp_resources.arrow.cleaning import clean_json, clean_text
from warp_resources.arrow.json_numbers import quote_wide_numbers
from warp_resources.arrow.limits import outside_dates, outside_range, too_many_digits
from warp_resources.model.capabilities import Capabilities


# SPEC: E8
@given(st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"]))))
def test_text_loses_the_refused_characters_only(values: list[str | None]) -> None:
    cleaned = clean_text(pa.array(values, pa.string()), "\0\x01")
    wanted = [value and value.replace("\0", "").replace("\x01", "") for value in values]
    assert cleaned.values.to_pylist() == wanted
    assert cleaned.changed.to_pylist() == [was != now for was, now in zip(values, wanted, strict=True)]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('{"a": "x\\u0000y"}', '{"a": "xy"}'),
        ('"\\ud800"', '""'),
        ('"\\uDFFFz"', '"z"'),
        ('"\\ud83d\\u0000\\ude00"', '""'),
        ('{"\\u0000": "\\u0000"}', '{"": ""}'),
        ('"\\\\\\u0000"', '"\\\\"'),
    ],
)
def test_json_loses_what_jsonb_refuses(before: str, after: str) -> None:
    cleaned = clean_json(pa.array(["1", None, before]), "\0")
    assert cleaned.values.to_pylist() == ["1", None, after]
    assert cleaned.changed.to_pylist() == [False, False, True]


@pytest.mark.parametrize("text", ['"\\ud83d\\ude00"', '"\\\\u0000"', '"\\\\ud800"', '"\\u001f"', '"\\n"', '"u0000"'])
def test_json_keeps_all_else(text: str) -> None:
    cleaned = clean_json(pa.array([text]), "\0")
    assert cleaned.values.to_pylist() == [text]
    assert not cleaned.changed.true_count


@given(st.text())
def test_cleaned_json_can_be_encoded(text: str) -> None:
    cleaned = clean_json(pa.array([json.dumps(text)]), "\0").values[0].as_py()
    kept = "".join(character for character in text if character != "\0" and not 0xD800 <= ord(character) < 0xE000)
    assert json.loads(cleaned) == kept


@pytest.mark.parametrize(
    ("literal", "is_excess"),
    [
        ("1E+6144", False),
        ("1E-6176", False),
        ("1E+131071", False),
        ("1E+131072", True),
        ("1E-16383", False),
        ("1E-16384", True),
        ("0." + "1" * 16383, False),
        ("0." + "1" * 16384, True),
        ("9" * 20000, False),
        ("NaN", False),
        ("-Infinity", False),
        (None, False),
    ],
    ids=lambda value: str(value)[:12],
)
def test_numeric_digits(literal: str | None, is_excess: bool) -> None:
    mask = too_many_digits(pa.array([literal], pa.string()), Capabilities().numeric_digits)
    assert mask.to_pylist() == [is_excess]


# SPEC: E8 E9
@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("9223372036854775807", None),
        ("18446744073709551615", None),
        ("18446744073709551616", '"18446744073709551616"'),
        ("-9223372036854775808", None),
        ("-9223372036854775809", '"-9223372036854775809"'),
        ("0.30000000000000004", None),
        ("0.300000000000000041", '"0.300000000000000041"'),
        ("1.5000000000000000000", None),
        ("1e400", '"1e400"'),
        ("5e-324", None),
        ('{"a": [1, 1e400], "1e400": "x,1e400,"}', '{"a": [1, "1e400"], "1e400": "x,1e400,"}'),
        (r'["\\",1e999,"\\"]', r'["\\","1e999","\\"]'),
        (r'["\",1e999,\""]', None),
        ('{"id":"65a1e5c312345678901234567"}', None),
    ],
)
def test_numbers_that_a_double_has_not_become_strings(text: str, stored: str | None) -> None:
    found = quote_wide_numbers(pa.array([text, None, "1"]))
    assert found.values.to_pylist() == [stored or text, None, "1"]
    assert found.changed.to_pylist() == [stored is not None, False, False]


@pytest.mark.parametrize(("unit", "per_unit"), [("ms", 1000), ("us", 1)])
def test_timestamp_range(unit: str, per_unit: int) -> None:
    first, last = -5_000_500, 5_000_500
    low, high = Decimal(first) / per_unit, Decimal(last) / per_unit
    numbers = [int(low) - 1, int(low), 0, int(high), int(high) + 1, None]
    mask = outside_range(pa.array(numbers, pa.int64()).view(pa.timestamp(unit)), (first, last))
    assert mask.to_pylist() == [True, False, False, False, True, False]


def test_date_range() -> None:
    first, last = Capabilities().date_range
    numbers = [-(2**31), first - 1, first, 0, last, last + 1, 2**31 - 1, None]
    mask = outside_dates(pa.array(numbers, pa.int32()).view(pa.date32()), (first, last))
    assert mask.to_pylist() == [True, True, False, False, False, True, True, False]
