"""Canonical JSON of sub-documents and arrays (SPEC 5)."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from typing import Any

import bson
import pytest
from bson import Binary, Code, DatetimeMS, Decimal128, Int64, ObjectId, Timestamp
from hypothesis import given, settings
from hypothesis import strategies as st

from warp_resources.connectors.mongodb.decode import CODEC
from warp_resources.connectors.mongodb.json_text import has_negative_zero, json_text, json_texts
from warp_resources.connectors.mongodb.scalars import decimal_literal

OID = ObjectId("0123456789abcdef01234567")


def decoded(value: Any) -> Any:
    return bson.decode(bson.encode({"": value}), CODEC)[""]


# SPEC: E1
@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({}, "{}"),
        ([], "[]"),
        ({"b": 1, "a": [None, True, "x"]}, '{"b":1,"a":[null,true,"x"]}'),
        ([3.0, -2.0, 1e20, 1e21, 1.5, 0.1], "[3,-2,100000000000000000000,1e+21,1.5,0.1]"),
        ([1e-7, 0.000001, 0.00001, 1.5e-300], "[1e-7,0.000001,0.00001,1.5e-300]"),
        ([1.7976931348623157e308, 5e-324], "[1.7976931348623157e+308,5e-324]"),
        ([123456789012345680.0, 9007199254740994.0], "[123456789012345680,9007199254740994]"),
        ([-0.0, 0.0], "[-0,0]"),
        ([float("nan"), float("inf"), float("-inf")], '["NaN","Infinity","-Infinity"]'),
        ([Int64(2**63 - 1), Int64(-(2**63))], "[9223372036854775807,-9223372036854775808]"),
        ([Decimal128("1.10"), Decimal128("1E+3"), Decimal128("0.00")], "[1.10,1000,0.00]"),
        ([Decimal128("NaN"), Decimal128("-Infinity")], '["NaN","-Infinity"]'),
        ([Decimal128("1234567890123456789012345678901234")], "[1.234567890123456789012345678901234e+33]"),
        ([OID], '["0123456789abcdef01234567"]'),
        ([datetime(2024, 1, 2, 3, 4, 5, 6000)], '["2024-01-02T03:04:05.006Z"]'),
        ([datetime(1, 1, 1)], '["0001-01-01T00:00:00.000Z"]'),
        ([DatetimeMS(-62135596800001)], '["+000000-12-31T23:59:59.999Z"]'),
        ([DatetimeMS(253402300800000)], '["+010000-01-01T00:00:00.000Z"]'),
        ([DatetimeMS(2**63 - 1)], '["+292278994-08-17T07:12:55.807Z"]'),
        ([b"\0\xff", Binary(b"a", 5)], '["AP8=","YQ=="]'),
        ([Binary(bytes(16), 4)], '["00000000-0000-0000-0000-000000000000"]'),
        (["\0", "\u2028", '"\\', "\U0001f600"], '["\\u0000","\u2028","\\"\\\\","\U0001f600"]'),
        ([Timestamp(1, 2)], '[{"$timestamp": {"t": 1, "i": 2}}]'),
        ([Code("f()")], '[{"$code": "f()"}]'),
        ([Code("f()"), Int64(5)], '[{"$code": "f()"},5]'),
        ({"": 1, "a.b": 2, "$c": 3}, '{"":1,"a.b":2,"$c":3}'),
    ],
    ids=repr,
)  # fmt: skip
def test_canonical_json(value: Any, text: str) -> None:
    assert json_texts([decoded(value), None]).to_pylist() == [text, None]
    assert json_text(decoded(value)) == text


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1).map(Int64),
    st.floats(),
    st.sampled_from([0.0, -0.0, 1.0, 1e-5, 1e16, 1e22, 5e-324]),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.integers(-(2**63), 2**63 - 1).map(DatetimeMS),
    st.datetimes(min_value=datetime(1, 1, 1), max_value=datetime(9999, 12, 31)),
    st.binary(max_size=20),
    st.decimals(places=2, min_value=-(10**9), max_value=10**9).map(Decimal128),
    st.just(Code("x")),
)
names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5)
trees = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4), max_leaves=20
)


# SPEC: E1, E8
@settings(deadline=None)
@given(st.lists(st.lists(trees, max_size=4) | st.dictionaries(names, trees, max_size=4), max_size=6))
def test_the_fast_writer_and_the_plain_one_agree(values: list[Any]) -> None:
    expected = [json_text(decoded(value)) for value in values]
    assert json_texts([decoded(value) for value in values]).to_pylist() == expected
    for text in expected:
        json.loads(text)


# SPEC: E8
@settings(deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=20))
def test_no_digit_of_a_double_is_lost(values: list[float]) -> None:
    text = json_texts([list(values)])[0].as_py()
    assert [float(number) for number in json.loads(text, parse_int=str, parse_float=str)] == values


@settings(deadline=None)
@given(st.integers(0, 10**34 - 1), st.integers(-6176, 6111))
def test_no_digit_of_a_decimal_is_lost(digits: int, exponent: int) -> None:
    value = Decimal((0, tuple(map(int, str(digits))), exponent))
    assert Decimal(decimal_literal(Decimal128(value))).as_tuple() == value.as_tuple()
    text = json_texts([[Decimal128(value)]])[0].as_py()
    assert Decimal(text[1:-1]) == value


def test_any_depth_is_written() -> None:
    value: Any = 3.0
    for _ in range(180):
        value = {"a": [value]}
    text = json_texts([decoded(value)])[0].as_py()
    assert text == '{"a":[' * 180 + "3" + "]}" * 180


@pytest.mark.parametrize(
    ("text", "found"),
    [("[-0]", True), ('{"a":-0.00}', True), ("[-0.5]", False), ('["-0"]', False), ("[-01]", None), ('{"-0":1}', False)],
)
def test_negative_zeros_are_found(text: str, found: bool | None) -> None:
    if found is not None:
        assert has_negative_zero(text) is found
