"""``json_format: extended``: nested values as relaxed extended JSON, everything else as ever."""

from __future__ import annotations

import json
import uuid
from datetime import datetime
from typing import Any

import bson
import pytest
from bson import DatetimeMS, Decimal128, Int64, MaxKey, ObjectId, Regex, json_util
from bson.binary import Binary, UuidRepresentation

from warp_resources.connectors.mongodb.decode import decode
from warp_resources.model.batches import TableBatch
from warp_resources.model.tables import Kind, TableId

TABLE = TableId("shop", "users")
OPTIONS = json_util.RELAXED_JSON_OPTIONS


def nested(batch: TableBatch, name: str = "v") -> list[str | None]:
    [column] = [raw for raw in batch.columns if raw.name == name]
    [variant] = column.variants
    assert variant.type.kind is Kind.JSON
    texts: list[str | None] = variant.values.to_pylist()
    return texts


# SPEC: 2, E1
@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": 1, "b": Int64(2**53 + 1)}, '{"a": 1, "b": 9007199254740993}'),
        ([1.5, float("nan"), None], '[1.5, {"$numberDouble": "NaN"}, null]'),
        ({"d": Decimal128("1.10")}, '{"d": {"$numberDecimal": "1.10"}}'),
        ({"at": datetime(2024, 1, 2, 3, 4, 5)}, '{"at": {"$date": "2024-01-02T03:04:05Z"}}'),
        ({"at": DatetimeMS(2**62)}, '{"at": {"$date": {"$numberLong": "4611686018427387904"}}}'),
        ({"id": ObjectId("0" * 24)}, '{"id": {"$oid": "000000000000000000000000"}}'),
        ({"b": b"x"}, '{"b": {"$binary": {"base64": "eA==", "subType": "00"}}}'),
        (
            {"u": Binary.from_uuid(uuid.UUID(int=1), UuidRepresentation.STANDARD)},
            '{"u": {"$binary": {"base64": "AAAAAAAAAAAAAAAAAAAAAQ==", "subType": "04"}}}',
        ),
        (
            {"r": Regex("a", "i"), "m": MaxKey()},
            '{"r": {"$regularExpression": {"pattern": "a", "options": "i"}}, "m": {"$maxKey": 1}}',
        ),
        ({}, "{}"),
        ([[]], "[[]]"),
        ({"é": "\0"}, '{"é": "\\u0000"}'),
    ],
    ids=str,
)
def test_a_nested_value(value: Any, text: str) -> None:
    [found] = nested(decode(TABLE, [bson.encode({"_id": 1, "v": value})], extended=True))
    assert found is not None
    assert json.loads(found) == json.loads(text)


def test_many_documents_of_one_layout() -> None:
    documents: list[dict[str, Any]] = [{"_id": n, "v": {"n": Decimal128(str(n))}, "s": f"{n}"} for n in range(1_000)]
    batch = decode(TABLE, list(map(bson.encode, documents)), extended=True)
    assert nested(batch) == [json_util.dumps(each["v"], json_options=OPTIONS) for each in documents]
    kinds = {raw.name: [variant.type.kind for variant in raw.variants] for raw in batch.columns}
    assert kinds == {"_id": [Kind.INT64], "v": [Kind.JSON], "s": [Kind.TEXT]}


def test_a_negative_zero_is_told_of_as_ever() -> None:
    # SPEC: E8
    batch = decode(TABLE, [bson.encode({"_id": 1, "v": {"z": -0.0}})], extended=True)
    assert [(flaw.reason, flaw.column) for flaw in batch.flaws] == [("negative_zero", "v")]
