"""Walking raw BSON (SPEC E9)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import bson
import pytest
from bson import Binary, Code, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp

from tests.unit.connectors.mongodb.raw_bson import document, field, int32, key, text
from warp_resources.connectors.mongodb.raw import (
    MalformedDocument,
    array_documents,
    array_of,
    element,
    elements,
    has_duplicate_fields,
    key_of,
    values,
)

EVERY_TYPE: dict[str, Any] = {
    "double": 1.5,
    "string": "Zoë",
    "object": {"a": {"b": 1}},
    "array": [1, "x", [2]],
    "binary": Binary(b"abc", 5),
    "old_binary": Binary(b"abc", 2),
    "oid": ObjectId(),
    "bool": True,
    "date": datetime(2024, 1, 1),
    "null": None,
    "regex": Regex("a/b", "im"),
    "code": Code("f()"),
    "scoped": Code("f()", {"x": 1}),
    "int32": 1,
    "timestamp": Timestamp(1, 2),
    "int64": Int64(2**60),
    "decimal": Decimal128("1.5"),
    "min": MinKey(),
    "max": MaxKey(),
}


def test_every_type_is_walked_over() -> None:
    raw = bson.encode(EVERY_TYPE)
    found = list(elements(raw))
    assert [item.name.decode() for item in found] == list(EVERY_TYPE)
    assert document(*(field(item.type, item.name, item.value) for item in found)) == raw
    assert values(raw) == {item.name: item.value for item in found}
    for item in found:
        assert bson.decode(item.named("v"))["v"] == EVERY_TYPE[item.name.decode()]


def test_retired_types_are_walked_over() -> None:
    raw = document(
        field(0x06, b"u", b""), field(0x0E, b"s", text(b"x")), field(0x0C, b"p", text(b"c") + bytes(12)), key(1)
    )
    assert [item.name for item in elements(raw)] == [b"u", b"s", b"p", b"_id"]
    assert set(values(raw)) == {b"u", b"s", b"p", b"_id"}


@pytest.mark.parametrize(
    "raw",
    [
        document(key(7)),
        document(key(7), field(0x02, b"a", text(b"_id\0x"))),
        document(field(0x08, b"a", b"\1"), key(7)),
        document(key(6), key(7)),
        document(field(0x02, b"x", text(b"_id")), key(7)),
    ],
)
def test_the_key_is_the_last_field_of_its_name(raw: bytes) -> None:
    found = key_of(raw)
    assert found is not None
    assert found.value == int32(7)
    assert found == element(raw, "_id")


def test_a_document_without_a_key_has_none() -> None:
    assert key_of(document()) is None


def test_the_documents_of_an_array_are_taken_out() -> None:
    documents = [bson.encode({"_id": number, "x": "y" * number}) for number in range(120)]
    reply = bson.encode({"batch": [bson.decode(raw) for raw in documents]})
    (batch,) = elements(reply)
    assert array_documents(batch.value) == documents


def test_an_array_is_built_of_values() -> None:
    items = list(elements(bson.encode({"a": 1, "b": "x", "c": {"d": 1}})))
    array = document(field(0x04, b"l", array_of(items)))
    assert bson.decode(array) == {"l": [1, "x", {"d": 1}]}


def test_duplicates_within_the_scope_of_code_are_found() -> None:
    scope = document(key(1), key(1))
    code = text(b"f()")
    value = int32(4 + len(code) + len(scope)) + code + scope
    assert has_duplicate_fields(document(field(0x0F, b"c", value)))
    assert not has_duplicate_fields(bson.encode(EVERY_TYPE))


@pytest.mark.parametrize("raw", [document(field(0x55, b"a", b"")), document(field(0x03, b"a", int32(500)))])
def test_what_is_not_bson_is_refused(raw: bytes) -> None:
    with pytest.raises(MalformedDocument):
        list(elements(raw))
