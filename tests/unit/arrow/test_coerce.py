"""Values carried from one type to another: exact, or rejected."""

from __future__ import annotations

import json
import math
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from warp_resources.arrow.canonical import canonical_text
from warp_resources.arrow.coerce import Coerced, coerce
from warp_resources.arrow.lattice import NUMBERS, join
from warp_resources.arrow.numbers import integers_are_exact
from warp_resources.arrow.types import arrow_type
from warp_resources.model.tables import ColumnType, Kind

BOOL, INT16, INT32, INT64 = map(ColumnType, (Kind.BOOL, Kind.INT16, Kind.INT32, Kind.INT64))
FLOAT32, DOUBLE, NUMERIC = map(ColumnType, (Kind.FLOAT32, Kind.DOUBLE, Kind.NUMERIC))
TEXT, JSON, UUID, BINARY, DATE, TIME = map(
    ColumnType, (Kind.TEXT, Kind.JSON, Kind.UUID, Kind.BINARY, Kind.DATE, Kind.TIME)
)
MILLIS, MICROS = ColumnType(Kind.TIMESTAMP_TZ, unit="ms"), ColumnType(Kind.TIMESTAMP_TZ, unit="us")
BOUNDED = ColumnType(Kind.NUMERIC, precision=4, scale=2)

SAMPLES: dict[ColumnType, list[object]] = {
    BOOL: [True, False],
    INT16: [-(2**15), 0, 2**15 - 1],
    INT32: [-(2**31), 7, 2**31 - 1],
    INT64: [-(2**63), 2**53 + 1, 2**62, 10**18, 2**63 - 1],
    FLOAT32: [0.5, 3.0, float("nan")],
    DOUBLE: [0.1, 1e-7, 3.0, 1e21, 2.0**62, 5e-324, float("nan"), float("-inf")],
    NUMERIC: ["1.10", "1E+30", "0.00", "NaN", "123456789012345678901234567890", "1E-7", "1.0E-7"],
    TEXT: ["", "x", "123", "true", "é😀"],
    BINARY: [b"", b"\0\xff"],
    UUID: [bytes(range(16))],
    DATE: [19723, -1_000_000],
    TIME: [0, 86_399_999_999],
    MILLIS: [0, 2**63 - 1, -(2**63)],
    MICROS: [0, 1],
}
# Units of time show different decimals, and do not mix within one source.
PAIRS = [(a, b) for a in SAMPLES for b in SAMPLES if {a, b} != {MILLIS, MICROS}]


def move(value: object, source: ColumnType, target: ColumnType) -> Coerced:
    coerced = coerce(pa.array([value, None], arrow_type(source)), source, target)
    assert coerced.values.type == arrow_type(target)
    assert coerced.values[1].as_py() is None
    assert not coerced.rejected[1].as_py()
    return coerced


def proved(value: object, column_type: ColumnType) -> ColumnType:
    if column_type.kind in (Kind.INT16, Kind.INT32, Kind.INT64):
        return ColumnType(column_type.kind, exact=integers_are_exact(pa.array([value], arrow_type(column_type))))
    return column_type


# SPEC: E2, E8
@pytest.mark.parametrize(("a", "b"), PAIRS, ids=str)
def test_the_join_keeps_the_canonical_text_of_both(a: ColumnType, b: ColumnType) -> None:
    for left in SAMPLES[a]:
        for right in SAMPLES[b]:
            met = join(proved(left, a), proved(right, b))
            for value, source in ((left, a), (right, b)):
                coerced = move(value, source, met)
                assert not coerced.rejected.true_count
                original = canonical_text(pa.array([value], arrow_type(source)), source)[0].as_py()
                assert canonical_text(coerced.values, met)[0].as_py() == original


# SPEC: E3
@pytest.mark.parametrize(
    ("text", "target", "fits"),
    [
        ("123", INT64, True),
        ("0123", INT64, False),
        ("+1", INT64, False),
        ("-0", INT64, False),
        ("1.0", INT64, False),
        (" 1", INT64, False),
        ("١", INT64, False),
        ("9223372036854775807", INT64, True),
        ("9223372036854775808", INT64, False),
        ("32768", INT16, False),
        ("3", DOUBLE, True),
        ("3.0", DOUBLE, False),
        ("1e21", DOUBLE, False),
        ("1e+21", DOUBLE, True),
        ("NaN", DOUBLE, True),
        ("nan", DOUBLE, False),
        ("-0", DOUBLE, True),
        ("9007199254740993", DOUBLE, False),
        ("1e+400", DOUBLE, False),
        ("1.10", NUMERIC, True),
        ("-0.0", NUMERIC, False),
        ("1E+30", NUMERIC, False),
        ("1_000", NUMERIC, False),
        ("1e+30", NUMERIC, True),
        ("Infinity", NUMERIC, True),
        ("12.34", BOUNDED, True),
        ("12.3", BOUNDED, False),
        ("123.45", BOUNDED, False),
        ("true", BOOL, True),
        ("True", BOOL, False),
        ("2024-01-01T00:00:00.000Z", MILLIS, True),
        ("2024-01-01T00:00:00Z", MILLIS, False),
        ("2024-01-01T00:00:00Z", MICROS, True),
        ("2024-02-30T00:00:00.000Z", MILLIS, False),
        ("2024-13-01", DATE, False),
        ("2024-12-01", DATE, True),
        ("24:00:00", TIME, False),
        ("23:59:59", TIME, True),
        ("00112233-4455-6677-8899-aabbccddeeff", UUID, True),
        ("00112233-4455-6677-8899-AABBCCDDEEFF", UUID, False),
        ("AP8=", BINARY, True),
        ("AP8", BINARY, False),
        ("AP9=", BINARY, False),
        ("not", BINARY, False),
        ("", INT64, False),
    ],
)
def test_text_fits_where_its_canonical_text_survives(text: str, target: ColumnType, fits: bool) -> None:
    coerced = move(text, TEXT, target)
    assert coerced.rejected[0].as_py() is not fits
    assert coerced.values[0].is_valid is fits


@given(st.sampled_from(PAIRS), st.data())
def test_a_value_comes_through_whole_or_is_rejected(pair: tuple[ColumnType, ColumnType], data: st.DataObject) -> None:
    source, target = pair
    assume(target.kind not in NUMBERS or source.kind not in NUMBERS)
    value = data.draw(st.sampled_from(SAMPLES[source]))
    coerced = move(value, source, target)
    before = canonical_text(pa.array([value], arrow_type(source)), source)[0].as_py()
    after = canonical_text(coerced.values, target)[0].as_py()
    assert after == (None if coerced.rejected[0].as_py() else before)


@pytest.mark.parametrize(
    ("value", "source", "target", "stored"),
    [
        (-0.0, DOUBLE, NUMERIC, "0"),
        ("-0.00", NUMERIC, NUMERIC, "0.00"),
        (-0.0, DOUBLE, JSON, "0"),
        ("-0E+3", NUMERIC, JSON, "0"),
    ],
    ids=str,
)
def test_a_lost_minus_sign_is_told(value: object, source: ColumnType, target: ColumnType, stored: str) -> None:
    coerced = move(value, source, target)
    assert coerced.altered[0].as_py() is True
    assert Decimal(coerced.values[0].as_py()) == Decimal(stored)
    assert not coerced.values[0].as_py().startswith("-")


def test_microseconds_that_overflow_are_rejected() -> None:
    assert move(2**63 - 1, MILLIS, MICROS).rejected[0].as_py()
    assert move(1500, MICROS, MILLIS).rejected[0].as_py()
    assert move(5, MILLIS, MICROS).values.view(pa.int64())[0].as_py() == 5000


@pytest.mark.parametrize(
    ("value", "source", "text"),
    [
        (True, BOOL, "true"),
        (5, INT64, "5"),
        (0.5, DOUBLE, "0.5"),
        (1e21, DOUBLE, "1e+21"),
        (math.nan, DOUBLE, '"NaN"'),
        (-math.inf, DOUBLE, '"-Infinity"'),
        ("1.10", NUMERIC, "1.10"),
        ("1E+30", NUMERIC, "1e+30"),
        ('a"\n\\é😀\x7f', TEXT, '"a\\"\\n\\\\é😀\x7f"'),
        (0, MILLIS, '"1970-01-01T00:00:00.000Z"'),
        (b"\0\xff", BINARY, '"AP8="'),
        (bytes(16), UUID, '"00000000-0000-0000-0000-000000000000"'),
    ],
    ids=str,
)
def test_scalars_as_json(value: object, source: ColumnType, text: str) -> None:
    assert move(value, source, JSON).values[0].as_py() == text
    json.loads(text)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))))
def test_any_text_is_a_json_string(values: list[str]) -> None:
    texts = coerce(pa.array(values, pa.string()), TEXT, JSON).values.to_pylist()
    assert [json.loads(text) for text in texts] == values


@given(st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_an_integer_is_exact_where_a_double_shows_its_digits(values: list[int]) -> None:
    shown = all(Decimal(repr(float(value))) == value for value in values)
    assert integers_are_exact(pa.array(values, pa.int64())) is shown


def test_the_same_type_passes_without_a_copy() -> None:
    for column_type in (INT64, TEXT, JSON, MILLIS, BINARY, UUID, NUMERIC, DOUBLE):
        values = pa.nulls(3, arrow_type(column_type))
        assert coerce(values, column_type, column_type).values is values
