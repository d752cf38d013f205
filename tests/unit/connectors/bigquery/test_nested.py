"""Nested values become canonical JSON by their declared types, and no digit is lost."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from google.cloud.bigquery import SchemaField
from google.cloud.bigquery.schema import FieldElementType

from warp_resources.connectors.bigquery.nested import interval_text, speller

AT = datetime(2024, 5, 1, 12, 30, 0, 1, tzinfo=UTC)


def field(its: str, *parts: SchemaField, mode: str = "NULLABLE", name: str = "f") -> SchemaField:
    return SchemaField(name, its, mode, fields=parts)


@pytest.mark.parametrize(
    ("its", "value", "plain", "extended"),
    [
        ("INTEGER", 2**63 - 1, "9223372036854775807", "9223372036854775807"),
        ("FLOAT", float("nan"), '"NaN"', '{"$numberDouble":"NaN"}'),
        ("FLOAT", -0.0, "-0", "-0"),
        ("FLOAT64", 1e21, "1e+21", "1e+21"),
        ("BOOLEAN", True, "true", "true"),
        ("NUMERIC", Decimal("1.100000000"), "1.1", '{"$numberDecimal":"1.1"}'),
        ("NUMERIC", Decimal("100"), "100", '{"$numberDecimal":"100"}'),
        ("BIGNUMERIC", Decimal("1.00E-7"), "1e-7", '{"$numberDecimal":"0.0000001"}'),
        ("STRING", 'a"b\n', '"a\\"b\\n"', '"a\\"b\\n"'),
        ("BYTES", b"\x00\xff", '"AP8="', '{"$binary":{"base64":"AP8=","subType":"00"}}'),
        ("TIMESTAMP", AT, '"2024-05-01T12:30:00.000001Z"', '{"$date":"2024-05-01T12:30:00.000001Z"}'),
        ("DATETIME", AT.replace(tzinfo=None), '"2024-05-01T12:30:00.000001"', '"2024-05-01T12:30:00.000001"'),
        ("DATE", date(1, 1, 1), '"0001-01-01"', '"0001-01-01"'),
        ("TIME", time(12, 30), '"12:30:00"', '"12:30:00"'),
        ("JSON", '{"a":1.50}', '{"a":1.50}', '{"a":1.50}'),
        ("INTEGER", None, "null", "null"),
    ],
)
def test_a_scalar(its: str, value: Any, plain: str, extended: str) -> None:
    # SPEC: E1 E9
    assert speller(field(its))(value) == plain
    assert speller(field(its), extended=True)(value) == extended


def test_structs_and_arrays() -> None:
    inner = field("RECORD", field("NUMERIC", name='a"b'), field("JSON", name="j"), mode="REPEATED", name="list")
    spell = speller(field("STRUCT", inner, field("INTEGER", name="n", mode="REPEATED")))
    value = {"list": [{'a"b': Decimal("2.50"), "j": "[1]"}, None], "n": [1, 2]}
    assert spell(value) == '{"list":[{"a\\"b":2.5,"j":[1]},null],"n":[1,2]}'
    assert spell(None) == "null"


def test_a_range_has_its_bounds_whatever_they_are_called() -> None:
    spell = speller(SchemaField("r", "RANGE", range_element_type=FieldElementType("DATE")))
    assert spell({"start": date(2024, 1, 1), "end": None}) == '{"start":"2024-01-01","end":null}'
    assert spell({"__range_start": None, "__range_end": date(2024, 1, 1)}) == '{"start":null,"end":"2024-01-01"}'


@pytest.mark.parametrize(
    ("months", "days", "nanoseconds", "text"),
    [
        (14, 3, 14_706_700_000_000, "1-2 3 4:5:6.7"),
        (-14, -3, -14_706_000_000_000, "-1-2 -3 -4:5:6"),
        (0, 0, 0, "0-0 0 0:0:0"),
    ],
)
def test_an_interval(months: int, days: int, nanoseconds: int, text: str) -> None:
    assert interval_text(pa.scalar((months, days, nanoseconds), pa.month_day_nano_interval()).as_py()) == text
