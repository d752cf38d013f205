"""Originals for dead letters: whole and lossless (SPEC T5, E8)."""

from __future__ import annotations

from typing import Any

import bson
import pytest
from bson import Binary, Code, DatetimeMS, Decimal128, Int64, MaxKey, Regex, Timestamp, json_util

from tests.unit.connectors.mongodb.raw_bson import document, field, key, text
from warp_resources.connectors.mongodb.originals import CANONICAL, original, raw_of

LOSSLESS: list[dict[str, Any]] = [
    {"_id": 1, "a": 1.0, "b": Int64(1), "c": 1},
    {"_id": 1, "a": float("inf"), "b": -0.0, "c": 5e-324},
    {"_id": 1, "a": DatetimeMS(2**63 - 1), "b": DatetimeMS(-(2**63)), "c": DatetimeMS(0)},
    {"_id": 1, "a": Decimal128("1.10"), "b": Decimal128("1E+6000")},
    {"_id": 1, "a": Binary(b"x", 4), "b": b"", "c": Binary(bytes(16), 4), "d": Binary(bytes(16), 3)},
    {"_id": 1, "a": Regex("a", "i"), "b": Code("f"), "c": Code("f", {"x": 1}), "d": Timestamp(1, 2), "e": MaxKey()},
    {"_id": 1, "": {"a.b": [None, True, "\0é"]}},
]


# SPEC: T5
@pytest.mark.parametrize("value", LOSSLESS, ids=repr)
def test_an_original_reads_back_byte_for_byte(value: dict[str, Any]) -> None:
    raw = bson.encode(value)
    kept = original(raw)
    assert kept.encoding == "extended_json"
    assert raw_of(kept.record, kept.encoding) == raw
    assert kept.primary_key == '{"_id": {"$numberInt": "1"}}'


def test_a_key_that_is_not_first_stays_where_it_is() -> None:
    raw = document(field(0x08, b"a", b"\1"), key(1))
    kept = original(raw)
    assert (kept.record, kept.encoding) == ('{"a": true, "_id": {"$numberInt": "1"}}', "extended_json")


# SPEC: T5
@pytest.mark.parametrize(
    "raw",
    [
        document(key(1), key(1)),
        document(key(1), field(0x02, b"a", text(b"\xff"))),
        document(key(1), field(0x0E, b"symbol", text(b"s"))),
        document(key(1), field(0x01, b"nan", b"\1\0\0\0\0\0\xf8\x7f")),
        bson.encode({"_id": 1, "a": {"$numberInt": "5"}}),
        bson.encode({"_id": 1, "a": {"$date": "never"}}),
        bson.encode({"_id": 1, "a": {"$oid": "short"}}),
        bson.encode({"_id": 1, "a": {"$oid": "0123456789abcdef01234567"}}),
    ],
)
def test_what_json_cannot_hold_is_kept_as_raw_bytes(raw: bytes) -> None:
    kept = original(raw)
    assert kept.encoding == "base64"
    assert raw_of(kept.record, kept.encoding) == raw
    assert kept.primary_key == '{"_id": {"$numberInt": "1"}}'


def test_a_key_that_json_cannot_hold_is_an_object_all_the_same() -> None:
    raw = document(field(0x02, b"_id", text(b"\xff")))
    assert set(json_util.loads(original(raw).primary_key, json_options=CANONICAL)["_id"]) == {"$bson"}
    assert original(document()).primary_key == "{}"
