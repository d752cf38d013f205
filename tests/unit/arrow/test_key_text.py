"""Key families, and keys as relaxed extended JSON, held against the driver's own spelling."""

from __future__ import annotations

import uuid
from decimal import Decimal
from fractions import Fraction
from itertools import combinations
from typing import Any

import pyarrow as pa
import pytest
from bson import Binary, Decimal128, ObjectId
from bson.datetime_ms import DatetimeMS
from bson.json_util import RELAXED_JSON_OPTIONS, dumps
from hypothesis import given, settings
from hypothesis import strategies as st

from warp_resources.arrow.keys import KeyType, compound, key_text, key_type, key_values
from warp_resources.arrow.types import arrow_type
from warp_resources.model.batches import Variant
from warp_resources.model.tables import Column, ColumnType, Kind

INT64, EXACT64 = ColumnType(Kind.INT64), ColumnType(Kind.INT64, exact=True)
DOUBLE, NUMERIC, TEXT, JSON = map(ColumnType, (Kind.DOUBLE, Kind.NUMERIC, Kind.TEXT, Kind.JSON))
MILLIS = ColumnType(Kind.TIMESTAMP_TZ, unit="ms")


def variant(values: list[object], column_type: ColumnType, family: str = "") -> Variant:
    return Variant(column_type, pa.array(values, arrow_type(column_type)), family)


def one(value: object, column_type: ColumnType, family: str = "") -> str:
    texts = key_text(variant([None, value], column_type, family)).to_pylist()
    assert texts[0] is None
    return str(texts[1])


def driver(value: object) -> str:
    return dumps(value, json_options=RELAXED_JSON_OPTIONS)


# SPEC: E11
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_strings(value: str) -> None:
    assert one(value, TEXT) == driver(value)


@given(st.integers(-(2**63), 2**63 - 1))
def test_dates(value: int) -> None:
    assert one(value, MILLIS) == driver(DatetimeMS(value))


@pytest.mark.parametrize("value", [0, 5, 1_704_067_200_000, 253_402_300_799_999, 253_402_300_800_000, -1])
def test_dates_at_the_edges(value: int) -> None:
    assert one(value, MILLIS) == driver(DatetimeMS(value))


@given(st.binary(), st.integers(0, 255).filter(lambda subtype: subtype not in (2, 3, 4)))
def test_binary(value: bytes, subtype: int) -> None:
    family = f"binary:{subtype:02x}"
    assert one(value, ColumnType(Kind.BINARY), family) == driver(Binary(value, subtype))


def test_other_families() -> None:
    key, identity = ObjectId(), uuid.uuid4()
    assert one(str(key), TEXT, "objectId") == driver(key)
    assert one(identity.bytes, ColumnType(Kind.UUID)) == driver(Binary.from_uuid(identity))
    assert one(True, ColumnType(Kind.BOOL)) == "true"
    assert one('{"a": 1}', TEXT, "json") == '{"a": 1}'
    assert one('"x"', TEXT, "mixed") == '"x"'


@given(st.integers(-(2**63), 2**63 - 1))
def test_integers(value: int) -> None:
    assert one(value, INT64) == driver(value)


@given(st.floats().filter(lambda value: not value.is_integer()))
def test_fractions(value: float) -> None:
    assert one(value, DOUBLE) == driver(value)


@pytest.mark.parametrize("value", [1e21, 1.5e21, 1e300, -1e22])
def test_huge_doubles(value: float) -> None:
    assert one(value, DOUBLE) == driver(value)


@pytest.mark.parametrize(
    ("spellings", "text"),
    [
        ([(1, INT64), (1.0, DOUBLE), ("1", NUMERIC), ("1.00", NUMERIC), ("10E-1", NUMERIC)], "1"),
        ([(0, INT64), (-0.0, DOUBLE), ("0.00", NUMERIC), ("-0E+5", NUMERIC)], "0"),
        ([(100, INT64), (1e2, DOUBLE), ("1E+2", NUMERIC)], "100"),
        ([(1e21, DOUBLE), ("1000000000000000000000", NUMERIC), ("1E+21", NUMERIC)], "1e+21"),
        ([(1e20, DOUBLE), ("1E+20", NUMERIC)], "100000000000000000000"),
        ([(1e-5, DOUBLE)], "1e-05"),
        ([("0.00001", NUMERIC), ("0.0000100", NUMERIC)], '{"$numberDecimal": "1e-05"}'),
        ([(2.0**-30, DOUBLE), ("9.31322574615478515625E-10", NUMERIC)], "9.313225746154785e-10"),
        ([(2**62, INT64), (2.0**62, DOUBLE), (str(2**62), NUMERIC)], "4611686018427387904"),
        ([(2**62 + 96, INT64), (str(2**62 + 96), NUMERIC)], "4611686018427388000"),
        ([(2.0**63, DOUBLE), (str(2**63), NUMERIC)], "9223372036854776000"),
        ([("9223372036854776000", NUMERIC)], '{"$numberDecimal": "9223372036854776000"}'),
        ([(1e23, DOUBLE), ("99999999999999991611392", NUMERIC)], "1e+23"),
        ([("1E+23", NUMERIC), ("100000000000000000000000.0", NUMERIC)], '{"$numberDecimal": "1e+23"}'),
        ([("1E+6144", NUMERIC)], '{"$numberDecimal": "1e+6144"}'),
        ([(-0.5, DOUBLE), ("-0.50", NUMERIC)], "-0.5"),
        ([(float("nan"), DOUBLE), ("NaN", NUMERIC)], '{"$numberDouble": "NaN"}'),
        ([(float("-inf"), DOUBLE), ("-Infinity", NUMERIC)], '{"$numberDouble": "-Infinity"}'),
    ],
)
def test_numbers_go_by_value(spellings: list[tuple[object, ColumnType]], text: str) -> None:
    assert {one(value, column_type) for value, column_type in spellings} == {text}


@given(st.decimals(allow_nan=False, allow_infinity=False, places=3), st.integers(0, 5))
def test_decimals_are_one_key_whatever_their_scale(value: object, zeros: int) -> None:
    literal = str(Decimal128(str(value))) if len(str(value)) < 30 else str(value)
    assert one(literal, NUMERIC) == one(f"{value:f}" + "0" * zeros, NUMERIC)


@pytest.mark.parametrize(
    ("known", "brought", "settled"),
    [
        (None, [(INT64, "")], KeyType(INT64, "number")),
        (None, [(EXACT64, ""), (DOUBLE, "")], KeyType(DOUBLE, "number")),
        (None, [(INT64, ""), (DOUBLE, "")], KeyType(NUMERIC, "decimal")),
        (None, [(TEXT, "objectId")], KeyType(TEXT, "objectId")),
        (None, [(TEXT, "objectId"), (TEXT, "")], KeyType(TEXT, "mixed")),
        (None, [(JSON, "")], KeyType(TEXT, "json")),
        (None, [], None),
        ((EXACT64, "number"), [], KeyType(EXACT64, "number")),
        ((EXACT64, "number"), [(TEXT, "")], KeyType(TEXT, "mixed")),
        ((TEXT, "string"), [(TEXT, "objectId")], KeyType(TEXT, "mixed")),
        ((TEXT, "mixed"), [(INT64, "")], KeyType(TEXT, "mixed")),
        ((TEXT, ""), [(TEXT, "string")], KeyType(TEXT, "string")),
        (
            (ColumnType(Kind.BINARY), "binary:00"),
            [(ColumnType(Kind.BINARY), "binary:05")],
            KeyType(TEXT, "mixed"),
        ),
    ],
    ids=str,
)
def test_what_a_key_column_becomes(
    known: tuple[ColumnType, str] | None, brought: list[tuple[ColumnType, str]], settled: KeyType | None
) -> None:
    column = None if known is None else Column("_id", "_id", *known)
    variants = [variant([None], column_type, family) for column_type, family in brought]
    assert key_type(variants, column) == settled


ODD_DOUBLE, EVEN_DOUBLE = variant([0.1, 0.5], DOUBLE), variant([0.5, 2.0**70, -0.0, float("nan")], DOUBLE)
ODD_DECIMAL, EVEN_DECIMAL = variant(["0.1"], NUMERIC), variant(["0.50", "3", "1180591620717411303424", "NaN"], NUMERIC)


@pytest.mark.parametrize(
    ("known", "brought", "settled"),
    [
        (None, [ODD_DOUBLE, EVEN_DECIMAL], KeyType(NUMERIC, "number")),
        (None, [variant([0.5], DOUBLE), ODD_DECIMAL], KeyType(NUMERIC, "decimal")),
        (None, [ODD_DOUBLE, ODD_DECIMAL], KeyType(TEXT, "mixed")),
        ((EXACT64, "number"), [ODD_DECIMAL], KeyType(NUMERIC, "decimal")),
        ((INT64, "number"), [ODD_DOUBLE], KeyType(NUMERIC, "number")),
        ((DOUBLE, "number"), [EVEN_DECIMAL], KeyType(NUMERIC, "number")),
        ((DOUBLE, "number"), [ODD_DECIMAL], KeyType(TEXT, "mixed")),
        ((NUMERIC, "number"), [EVEN_DECIMAL], KeyType(NUMERIC, "number")),
        ((NUMERIC, "number"), [ODD_DECIMAL], KeyType(TEXT, "mixed")),
        ((NUMERIC, "decimal"), [variant([0.5], DOUBLE)], KeyType(NUMERIC, "decimal")),
        ((NUMERIC, "decimal"), [ODD_DOUBLE], KeyType(TEXT, "mixed")),
        ((NUMERIC, "decimal"), [EVEN_DOUBLE], KeyType(TEXT, "mixed")),
    ],
)
def test_doubles_and_decimals_that_are_written_alike_are_never_one_column(
    known: tuple[ColumnType, str] | None, brought: list[Variant], settled: KeyType
) -> None:
    assert key_type(brought, None if known is None else Column("_id", "_id", *known)) == settled


numbers = st.one_of(
    st.tuples(st.just(INT64), st.integers(-(2**63), 2**63 - 1) | st.integers(2**62, 2**62 + 2000)),
    st.tuples(st.just(DOUBLE), st.floats() | st.integers(-99, 99).map(lambda n: n / 10) | st.just(2.0**62)),
    st.tuples(
        st.just(NUMERIC),
        st.decimals(places=2, min_value=-9, max_value=9, allow_nan=False).map(str)
        | st.floats(allow_nan=False).map(lambda v: str(Decimal(v)))
        | st.sampled_from(["1E+23", "1E-6176", "NaN", "Infinity", "9223372036854776000", "-0.0"]),
    ),
)


def value_of(number: tuple[ColumnType, Any]) -> object:
    value = Decimal(number[1])
    return Fraction(value) if value.is_finite() else str(value)


# SPEC: E11
@settings(max_examples=500)
@given(st.lists(numbers, min_size=2, max_size=6))
def test_numbers_are_one_key_exactly_when_their_values_are_equal(drawn: list[tuple[ColumnType, Any]]) -> None:
    texts = [one(value, column_type) for column_type, value in drawn]
    for (left, its), (right, other) in combinations(zip(texts, map(value_of, drawn), strict=True), 2):
        assert (left == right) == (its == other)


def test_mixed_keys_stay_distinct() -> None:
    variants = [variant([1, None, None], INT64), variant([None, "1", None], TEXT), variant([None] * 3, DOUBLE)]
    assert key_values(variants, KeyType(TEXT, "mixed"), 3).values.to_pylist() == ["1", '"1"', None]


def test_keys_of_one_family_widen() -> None:
    variants = [variant([2**53 + 1, None, None], INT64), variant([None, 0.5, 2.0**62], DOUBLE)]
    stored = key_values(variants, KeyType(NUMERIC, "number"), 3).values.to_pylist()
    assert stored == ["9007199254740993", "0.5", "4611686018427387904"]


def test_a_decimal_that_is_a_double_is_stored_as_the_double_among_doubles() -> None:
    decimals = [variant(["9.31322574615478515625E-10", "1.50"], NUMERIC)]
    assert key_values(decimals, KeyType(NUMERIC, "number"), 2).values.to_pylist() == ["9.313225746154785e-10", "1.50"]
    assert key_values(decimals, KeyType(NUMERIC, "decimal"), 2).values.to_pylist()[0] == "9.31322574615478515625E-10"


def test_compound_keys_are_arrays() -> None:
    first, second = key_text(variant([1, 2], INT64)), key_text(variant(["a", None], TEXT))
    assert compound([first, second]).to_pylist() == ['[1, "a"]', None]
    assert compound([first]) is first
