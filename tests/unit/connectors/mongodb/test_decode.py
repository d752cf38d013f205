"""Decoding raw documents exactly, and saying so where that is not possible."""

from __future__ import annotations

import base64
import gc
from typing import Any

import bson
import pytest
from bson import Regex

from tests.unit.connectors.mongodb.raw_bson import document, field, int32, key, text
from warp_resources.connectors.mongodb.decode import decode, decode_keys, key_text
from warp_resources.model.batches import TableBatch
from warp_resources.model.tables import TableId

TABLE = TableId("shop", "users")
GOOD = bson.encode({"_id": 1, "a": "x"})
TWICE = document(key(2), field(0x10, b"a", int32(1)), field(0x10, b"a", int32(2)))
TWICE_WITHIN = document(key(3), field(0x03, b"d", document(field(0x08, b"f", b"\1"), field(0x08, b"f", b"\0"))))
TWO_NULLS = document(field(0x0A, b"f", b""), field(0x0A, b"f", b""))
TWICE_IN_ARRAY = document(key(4), field(0x04, b"l", document(field(0x03, b"0", TWO_NULLS))))
NOT_UTF8 = document(key(5), field(0x02, b"a", text(b"\xff\xfe")))
SURROGATE = document(key(6), field(0x02, b"a", text(b"\xed\xa0\x80")))
NAME_NOT_UTF8 = document(key(7), field(0x10, b"\xff", int32(1)))
UNKNOWN_TYPE = document(key(8), field(0x55, b"a", b""))


def rows(batch: TableBatch) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [{} for _ in range(batch.row_count)]
    for column in batch.columns:
        for variant in column.variants:
            for row, value in zip(found, variant.values.to_pylist(), strict=True):
                if value is not None:
                    row[column.name] = value
    return found


# SPEC: E7, E9
@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (TWICE, "duplicate_field"),
        (TWICE_WITHIN, "duplicate_field"),
        (TWICE_IN_ARRAY, "duplicate_field"),
        (NOT_UTF8, "invalid_utf8"),
        (SURROGATE, "invalid_utf8"),
        (NAME_NOT_UTF8, "invalid_utf8"),
        (UNKNOWN_TYPE, "undecodable"),
    ],
)
def test_a_document_that_would_not_be_exact_is_a_flaw_and_its_neighbours_are_rows(bad: bytes, reason: str) -> None:
    after = bson.encode({"_id": 99, "b": 2})
    batch = decode(TABLE, [GOOD, bad, after])
    assert rows(batch) == [{"_id": 1, "a": "x"}, {"_id": 99, "b": 2}]
    (flaw,) = batch.flaws
    assert (flaw.reason, flaw.column) == (reason, None)
    assert flaw.original.encoding == "base64"
    assert base64.b64decode(flaw.original.record) == bad
    number = bad[9]
    assert flaw.original.primary_key == f'{{"_id": {{"$numberInt": "{number}"}}}}'
    assert flaw.key_text == str(number)


def test_originals_follow_their_rows() -> None:
    batch = decode(TABLE, [TWICE, GOOD])
    assert batch.original(0).record == '{"_id": {"$numberInt": "1"}, "a": "x"}'
    assert batch.original(0).primary_key == '{"_id": {"$numberInt": "1"}}'


def test_the_same_name_at_two_depths_is_no_duplicate() -> None:
    nested = bson.encode({"_id": 1, "a": {"a": {"a": 1}}, "l": [{"a": 1}, {"a": 2}]})
    assert decode(TABLE, [nested]).flaws == ()


def test_what_encodes_to_another_size_is_not_taken_for_a_duplicate() -> None:
    odd_regex = document(key(1), field(0x0B, b"r", b"a\0ilmsuxq\0"))
    odd_array = document(key(2), field(0x04, b"l", document(field(0x10, b"", int32(5)), field(0x10, b"zz", int32(6)))))
    batch = decode(TABLE, [odd_regex, odd_array, bson.encode({"_id": 3, "r": Regex("b")})])
    assert batch.flaws == ()
    assert batch.row_count == 3
    assert rows(batch)[1]["l"] == "[5,6]"


def test_retired_types_are_read() -> None:
    oid = bytes(12)
    retired = document(
        key(1),
        field(0x06, b"undefined", b""),
        field(0x0E, b"symbol", text(b"s")),
        field(0x0C, b"pointer", text(b"db.c") + oid),
    )
    batch = decode(TABLE, [retired])
    assert batch.flaws == ()
    assert rows(batch) == [
        {"_id": 1, "symbol": "s", "pointer": '{"$ref": "db.c", "$id": {"$oid": "000000000000000000000000"}}'}
    ]
    # What reads back as another type is not lossless as extended JSON.
    assert batch.original(0).encoding == "base64"


# SPEC: E8
def test_a_negative_zero_within_json_is_told() -> None:
    batch = decode(
        TABLE, [bson.encode({"_id": n, "d": {"x": x, "at": "2024-01-01"}}) for n, x in enumerate([0.0, -0.0, -0.5])]
    )
    assert [(flaw.reason, flaw.column, flaw.key_text) for flaw in batch.flaws] == [("negative_zero", "d", "1")]
    assert rows(batch)[1]["d"] == '{"x":-0,"at":"2024-01-01"}'


def test_fields_come_in_the_order_in_which_they_are_first_seen() -> None:
    batch = decode(TABLE, [bson.encode(document) for document in ({"_id": 1, "b": 1}, {"_id": 2, "a": 1, "b": 2})])
    assert [column.name for column in batch.columns] == ["_id", "b", "a"]


@pytest.mark.parametrize("name", ["", "a.b", "$x", "_id ", "ключ", "x" * 200, '"; drop table x; --'])
def test_any_field_name_is_kept(name: str) -> None:
    # SPEC: Z4
    batch = decode(TABLE, [bson.encode({"_id": 1, name: 5})])
    assert [column.name for column in batch.columns] == ["_id", name]


def test_a_batch_of_many_parts_is_one_batch() -> None:
    documents = [
        bson.encode({"_id": n, "n": n if n < 3000 else str(n), **({"late": 1.5} if n == 4999 else {})})
        for n in range(5000)
    ]
    batch = decode(TABLE, documents)
    assert batch.row_count == 5000
    assert batch.byte_count == sum(map(len, documents))
    assert rows(batch)[2999:3001] == [{"_id": 2999, "n": 2999}, {"_id": 3000, "n": "3000"}]
    assert rows(batch)[4999] == {"_id": 4999, "n": "4999", "late": 1.5}
    assert batch.original(4999).primary_key == '{"_id": {"$numberInt": "4999"}}'


def test_a_thousand_fields_are_columns() -> None:
    wide = {"_id": 1, **{f"f{n}": n for n in range(1000)}}
    assert rows(decode(TABLE, [bson.encode(wide)])) == [wide]


def test_no_documents_make_an_empty_batch() -> None:
    batch = decode(TABLE, [])
    assert (batch.row_count, batch.columns, batch.flaws, batch.key) == (0, (), (), ("_id",))


def test_keys_are_decoded_as_key_columns() -> None:
    columns, count = decode_keys([bson.encode({"_id": value}) for value in (1, "a")])
    assert count == 2
    assert [(v.family, v.values.to_pylist()) for v in columns[0].variants] == [
        ("number", [1, None]),
        ("string", [None, "a"]),
    ]


@pytest.mark.parametrize(("value", "spelled"), [(1, "1"), (1.0, "1"), ("1", '"1"'), ({"a": 1}, '{"a": 1}')], ids=repr)
def test_a_key_is_spelled_as_everywhere(value: Any, spelled: str) -> None:
    assert key_text(bson.encode({"_id": value})) == spelled


def test_a_key_that_cannot_be_read_has_no_text() -> None:
    assert key_text(document(field(0x02, b"_id", text(b"\xff")))) is None
    assert key_text(document()) is None


def test_the_collector_is_left_as_it_was() -> None:
    assert gc.isenabled()
    decode(TABLE, [GOOD])
    assert gc.isenabled()
    gc.disable()
    try:
        decode(TABLE, [GOOD])
        assert not gc.isenabled()
    finally:
        gc.enable()
