"""Canonical text of values, as SPEC 5 spells it."""

from __future__ import annotations

import uuid
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warp_resources.arrow.canonical import canonical_text
from warp_resources.arrow.times import read_date, read_timestamp, timestamp_text
from warp_resources.arrow.types import arrow_type
from warp_resources.model.tables import ColumnType, Kind

DOUBLE, FLOAT32, NUMERIC = map(ColumnType, (Kind.DOUBLE, Kind.FLOAT32, Kind.NUMERIC))
MILLIS = ColumnType(Kind.TIMESTAMP_TZ, unit="ms")
MICROS = ColumnType(Kind.TIMESTAMP_TZ, unit="us")


def texts(values: list[object], column_type: ColumnType) -> list[str | None]:
    array = pa.array([None, *values, None], arrow_type(column_type))
    found = canonical_text(array, column_type)
    assert found.type == pa.string()
    assert (found[0].as_py(), found[-1].as_py()) == (None, None)
    return list(found.to_pylist()[1:-1])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "-0"),
        (3.0, "3"),
        (-2.5, "-2.5"),
        (0.1, "0.1"),
        (19999.5, "19999.5"),
        (1e10, "10000000000"),
        (12345678901.5, "12345678901.5"),
        (9007199254740991.0, "9007199254740991"),
        (9007199254740992.0, "9007199254740992"),
        (123456789012345680.0, "123456789012345680"),
        (4611686018427387904.0, "4611686018427388000"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (1.5e300, "1.5e+300"),
        (1e-6, "0.000001"),
        (1.5e-6, "0.0000015"),
        (1e-7, "1e-7"),
        (1.25e-7, "1.25e-7"),
        (5e-324, "5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (float("nan"), "NaN"),
        (float("inf"), "Infinity"),
        (float("-inf"), "-Infinity"),
    ],
)
def test_doubles(value: float, text: str) -> None:
    assert texts([value], DOUBLE) == [text]


def test_a_float_reads_as_the_double_of_its_value() -> None:
    assert texts([0.1, 1.5, 16777216.0], FLOAT32) == ["0.10000000149011612", "1.5", "16777216"]


@given(st.lists(st.floats()))
def test_doubles_read_back(values: list[float]) -> None:
    for value, text in zip(values, texts(list(values), DOUBLE), strict=True):
        assert text is not None
        assert repr(float(text)) == repr(value)
        assert ("e" in text) == (value == value and abs(value) != float("inf") and _is_exponential(value))


def _is_exponential(value: float) -> bool:
    return abs(value) >= 1e21 or 0 < abs(value) < 1e-6


@pytest.mark.parametrize(
    ("literal", "text"),
    [
        ("1.10", "1.10"),
        ("0", "0"),
        ("0.00", "0.00"),
        ("0.00000000", "0.00000000"),
        ("-0.00", "-0.00"),
        ("3.0", "3.0"),
        ("100", "100"),
        ("1E+2", "100"),
        ("1.50E+1", "15.0"),
        ("999999999999999999999", "999999999999999999999"),
        ("1000000000000000000000", "1e+21"),
        ("1E+30", "1e+30"),
        ("1.0E+30", "1e+30"),
        ("12345E+30", "1.2345e+34"),
        ("1000000000000000000000.5", "1000000000000000000000.5"),
        ("0.000001", "0.000001"),
        ("0.0000010", "0.0000010"),
        ("0.0000001", "1e-7"),
        ("1.0E-7", "1.0e-7"),
        ("-0.00000012", "-1.2e-7"),
        ("1E-6176", "1e-6176"),
        ("9.999999999999999999999999999999999E+6144", "9.999999999999999999999999999999999e+6144"),
        ("NaN", "NaN"),
        ("Infinity", "Infinity"),
        ("-Infinity", "-Infinity"),
    ],
)
def test_decimals_keep_their_scale(literal: str, text: str) -> None:
    assert texts([literal], NUMERIC) == [text]
    assert texts([text], NUMERIC) == [text]


@given(st.lists(st.decimals(allow_nan=False, allow_infinity=False)))
def test_decimals_keep_their_value_however_they_are_written(values: list[Decimal]) -> None:
    for value, text in zip(values, texts([str(value) for value in values], NUMERIC), strict=True):
        assert Decimal(text or "") == value
        assert text == texts([f"{value:f}"], NUMERIC)[0]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False).filter(bool)))
def test_a_double_reads_the_same_from_numeric(values: list[float]) -> None:
    as_doubles = texts(list(values), DOUBLE)
    assert texts(list(as_doubles), NUMERIC) == as_doubles


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_704_067_200_123, "2024-01-01T00:00:00.123Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (-62_135_596_800_000, "0001-01-01T00:00:00.000Z"),
        (-62_135_596_800_001, "+000000-12-31T23:59:59.999Z"),
        (-62_167_219_200_001, "-000001-12-31T23:59:59.999Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        (253_402_300_800_000, "+010000-01-01T00:00:00.000Z"),
        (2**63 - 1, "+292278994-08-17T07:12:55.807Z"),
        (-(2**63), "-292275055-05-16T16:47:04.192Z"),
    ],
)
def test_timestamps_of_any_year(value: int, text: str) -> None:
    assert texts([value], MILLIS) == [text]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "1970-01-01T00:00:00Z"), (1, "1970-01-01T00:00:00.000001Z"), (1_500_000, "1970-01-01T00:00:01.500000Z")],
)
def test_microseconds_show_where_they_are_not_zero(value: int, text: str) -> None:
    assert texts([value], MICROS) == [text]
    assert texts([value], ColumnType(Kind.TIMESTAMP, unit="us")) == [text[:-1]]


@given(st.integers(-(2**63), 2**63 - 1), st.sampled_from(["ms", "us"]))
def test_every_timestamp_reads_back(value: int, unit: str) -> None:
    text = timestamp_text(value, unit, has_zone=True)
    assert texts([value], ColumnType(Kind.TIMESTAMP_TZ, unit=unit)) == [text]
    assert read_timestamp(text, unit) == value


@given(st.integers(-(2**31), 2**31 - 1))
def test_every_date_reads_back(days: int) -> None:
    array = pa.array([days], pa.int32()).view(pa.date32())
    text = canonical_text(array, ColumnType(Kind.DATE))[0].as_py()
    assert read_date(text) == days


KEY = uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        (Kind.BOOL, True, "true"),
        (Kind.BOOL, False, "false"),
        (Kind.INT16, -32768, "-32768"),
        (Kind.INT64, -(2**63), "-9223372036854775808"),
        (Kind.TEXT, "a\0b", "a\0b"),
        (Kind.JSON, '{"a": 1}', '{"a": 1}'),
        (Kind.UUID, KEY.bytes, str(KEY)),
        (Kind.BINARY, b"\0\xff", "AP8="),
        (Kind.DATE, 19723, "2024-01-01"),
        (Kind.TIME, 3_600_000_000, "01:00:00"),
        (Kind.TIME, 1, "00:00:00.000001"),
    ],
)
def test_other_scalars(kind: Kind, value: object, text: str) -> None:
    assert texts([value], ColumnType(kind)) == [text]
