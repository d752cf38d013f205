"""When two keys are one: exactly when they are stored as one (SPEC E11)."""

from __future__ import annotations

from collections.abc import Hashable
from datetime import UTC, datetime
from itertools import combinations
from typing import Any

import bson
import pytest
from bson import Binary, Code, Decimal128, Int64, MaxKey, MinKey, ObjectId, Timestamp
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.connectors.mongodb.raw_bson import document, field
from warp_resources.connectors.mongodb.decode import key_text
from warp_resources.connectors.mongodb.identity import document_identity, identity_of
from warp_resources.connectors.mongodb.raw import key_of


def identity(key: Any) -> Hashable:
    found = key_of(bson.encode({"_id": key}))
    assert found is not None
    return identity_of(found)


def text(key: Any) -> str | None:
    return key_text(bson.encode({"_id": key}))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        (Int64(5), Decimal128("5.00")),
        (Decimal128("1.50"), 1.5),
        (Int64(2**60), float(2**60)),
        (Decimal128("1E+22"), 1e22),
        (Decimal128("9.31322574615478515625E-10"), 2.0**-30),
        (0, -0.0),
        (float("nan"), Decimal128("NaN")),
        (float("inf"), Decimal128("Infinity")),
        ({"a": Int64(1)}, {"a": 1}),
        ({"a": [{"b": Int64(1)}]}, {"a": [{"b": 1}]}),
    ],
    ids=repr,
)
def test_keys_that_are_stored_alike_are_one(one: Any, other: Any) -> None:
    assert identity(one) == identity(other)
    assert hash(identity(one)) == hash(identity(other))
    assert text(one) == text(other)


def test_a_symbol_is_the_string_that_it_is_stored_as() -> None:
    symbol, string = (document(field(kind, b"_id", b"\x02\0\0\0a\0")) for kind in (0x0E, 0x02))
    assert document_identity(symbol) == document_identity(string)
    assert key_text(symbol) == key_text(string)


def test_a_key_that_cannot_be_spelled_is_itself_alone() -> None:
    fields = [field(0x10, b"a", number.to_bytes(4, "little")) for number in (1, 2)]
    doubled = document(field(0x03, b"_id", document(*fields)))
    single = document(field(0x03, b"_id", document(fields[1])))
    assert key_text(doubled) is None
    assert document_identity(doubled) != document_identity(single)


KEYS: list[Any] = [
    *(0, 1, -1, Int64(1), 1.0, -0.0, 0.1, 1e-7, 1e21, 1e22, 2**53, Int64(2**60), float(2**60), Int64(2**63 - 1)),
    *(float(2**63), -1.5, float("nan"), float("inf"), float("-inf"), 5e-324),
    *map(Decimal128, ("1", "1.0", "0.1", "0.10", "-0", "1E+3", "NaN", "-NaN", "Infinity", "1E-7", "1E+22", "1E+6000")),
    *("1", "", "a", "é", "null", "true", '{"a": 1}', b"", b"a", Binary(b"a", 2), Binary(b"a", 5), Binary(b"x" * 16, 4)),
    *(Binary(b"x" * 16, 3), Binary(b"x" * 5, 4), True, False, None, MinKey(), MaxKey(), Timestamp(1, 2), Code("x")),
    *(ObjectId("0" * 24), "0" * 24, bytes(12), datetime(2024, 1, 1, tzinfo=UTC), datetime(1969, 1, 1, tzinfo=UTC)),
    *({}, {"a": 1}, {"a": Int64(1)}, {"a": 1.0}, {"a": "1"}, {"b": 1, "a": 1}, {"a": 1, "b": 1}, {"a": None}),
    *({"a": Int64(2**60)}, {"a": float(2**60)}, {"a": b"x"}, {"a": {"b": Int64(1)}}, {"a": {"b": 1}}),
]


def test_keys_are_one_exactly_when_their_stored_text_is() -> None:
    for one, other in combinations([(key, identity(key), text(key)) for key in KEYS], 2):
        assert (one[1] == other[1]) == (one[2] == other[2]), (one, other)


def int64(number: int) -> Int64:
    return Int64(number)


numbers = st.one_of(
    st.integers(-(2**31), 2**31 - 1),
    st.integers(-(2**63), 2**63 - 1).map(int64),
    st.integers(-3, 3).map(int64),
    st.integers(-9, 9).map(lambda tenths: tenths / 10),
    st.floats(),
    st.integers(-30, 30).map(lambda tenths: Decimal128(f"{tenths}E-1")),
    st.decimals(allow_nan=False, places=3, min_value=-(10**9), max_value=10**9).map(Decimal128),
)


@settings(deadline=None)
@given(numbers, numbers)
def test_the_law_holds_for_numbers(one: Any, other: Any) -> None:
    for wrap in (lambda number: number, lambda number: {"a": number}):
        assert (identity(wrap(one)) == identity(wrap(other))) == (text(wrap(one)) == text(wrap(other)))


@settings(deadline=None)
@given(st.lists(st.one_of(st.integers(-(2**63), 2**63 - 1), st.booleans(), st.text("ab\x01"), st.binary(), st.none())))
def test_unlike_keys_are_never_one(keys: list[Any]) -> None:
    distinct = {(type(key), key) for key in keys}
    assert len({identity(key) for _, key in distinct}) == len(distinct)


def test_an_object_id_is_not_its_text() -> None:
    oid = ObjectId()
    assert len({identity(oid), identity(str(oid)), identity(oid.binary)}) == 3
