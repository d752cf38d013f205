"""Bounds of slices: any key as text and back (SPEC M5)."""

from __future__ import annotations

from typing import Any

import bson
import pytest
from bson import Binary, Code, DatetimeMS, DBRef, Decimal128, Int64, MaxKey, MinKey, ObjectId, Timestamp

from tests.unit.connectors.mongodb.raw_bson import document, field, text
from warp_resources.connectors.mongodb.bounds import at_bound, beside_bound, bound_text
from warp_resources.errors import OperatorError

KEYS: list[Any] = [
    1, Int64(1), 1.0, float("nan"), float("-inf"), Decimal128("1.0"), "a", "", ObjectId("6" * 24), True, None,
    {}, {"a": 1}, b"x", Binary(b"x", 5), Binary(bytes(16), 4), DatetimeMS(2**62), Timestamp(1, 2), MinKey(), MaxKey(),
    Code("x"), DBRef("a", 1), {"b": [1, {"c": 2.0}]},
]  # fmt: skip


@pytest.mark.parametrize("key", KEYS, ids=repr)
def test_a_bound_reads_back_byte_for_byte(key: Any) -> None:
    raw = bson.encode({"_id": key, "more": "fields"})
    bound = bound_text(raw)
    assert bytes(at_bound(bound).raw) == bson.encode({"_id": key})
    assert bytes(beside_bound(bound).raw) == bson.encode({"_id": {"$ne": key}})


def test_a_key_that_json_cannot_hold_is_a_bound_too() -> None:
    raw = document(field(0x02, b"_id", text(b"\xff")))
    assert bytes(at_bound(bound_text(raw)).raw) == raw


@pytest.mark.parametrize("text", ["", "{", "[1]", "5", "base64:?", '{"_id": {"$oid": "short"}}'])
def test_a_bound_of_another_source_is_refused(text: str) -> None:
    with pytest.raises(OperatorError, match="Resync the table"):
        beside_bound(text)
