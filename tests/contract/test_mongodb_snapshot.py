"""Reading collections from a real MongoDB: every key and every value that BSON has."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from typing import Any

import bson
import pytest
from bson import (
    Binary,
    Code,
    DatetimeMS,
    DBRef,
    Decimal128,
    Int64,
    MaxKey,
    MinKey,
    ObjectId,
    Regex,
    Timestamp,
)  # fmt: skip
from bson.raw_bson import RawBSONDocument

from tests.contract.mongodb_reading import LIMITS, Reading, deletes_of, rows_of
from tests.fixtures.servers import MongoDatabase
from warp_resources.connectors.interfaces import MarkedRange, ReadLimits
from warp_resources.connectors.mongodb.options import MongoOptions
from warp_resources.connectors.mongodb.source import MongoSource
from warp_resources.model.positions import KeyRange

pytestmark = pytest.mark.servers

KEYS: list[Any] = [
    MinKey(), None, float("nan"), float("-inf"), Int64(-(2**63)), -1.5, 0, 7, Decimal128("7.5"), Int64(2**62), 1e300,
    "", "A", "a", "z" * 500, {}, {"a": 1}, {"a": {"b": 1}}, b"", b"x", Binary(b"y", 5), Binary(bytes(16), 4),
    ObjectId(), False, True, DatetimeMS(-(2**62)), datetime(2024, 1, 1), DatetimeMS(2**62), Timestamp(1, 1),
    Code("f()"), DBRef("a", 1), MaxKey(),
]  # fmt: skip


def raw(*fields: tuple[int, bytes, bytes]) -> RawBSONDocument:
    body = b"".join(bytes((kind,)) + name + b"\0" + value for kind, name, value in fields)
    return RawBSONDocument(struct.pack("<i", len(body) + 5) + body + b"\0")


def number(value: int) -> tuple[int, bytes, bytes]:
    return 0x10, b"_id", struct.pack("<i", value)


def insert_raw(reading: Reading, table: str, *documents: RawBSONDocument) -> None:
    reading.database.command({"insert": table, "documents": list(documents)})


# SPEC: M5, E11
@pytest.mark.parametrize("max_rows", [1, 2, 5, 100])
def test_every_kind_of_key_is_read_once_in_chunks_of_any_size(reading: Reading, max_rows: int) -> None:
    reading.database.t.insert_many([{"_id": key, "n": n} for n, key in enumerate(KEYS)])
    found = [row["n"] for batch in reading.chunks("t", limits=ReadLimits(max_rows, 10**7)) for row in rows_of(batch)]
    assert sorted(found) == list(range(len(KEYS)))


# SPEC: M5, E11
def test_slices_with_any_two_keys_as_bounds_hold_every_key_once(reading: Reading) -> None:
    reading.database.t.insert_many([{"_id": key, "n": n} for n, key in enumerate(KEYS)])
    bounds: list[str | None] = []
    resume = None
    while True:
        chunk = reading.source.read_chunk(reading.scope, "t", KeyRange(), resume, ReadLimits(3, 10**7), None)
        if chunk.is_last:
            break
        resume = chunk.resume
        bounds.append(resume)
    parts = [KeyRange(lower, upper) for lower, upper in zip([None, *bounds], [*bounds, None], strict=True)]
    assert len(parts) > 8
    found = [
        row["n"]
        for part in parts
        for batch in reading.chunks("t", part, ReadLimits(2, 10**7))
        for row in rows_of(batch)
    ]
    assert sorted(found) == list(range(len(KEYS)))


# SPEC: M5
def test_a_plan_of_mixed_keys_is_even_and_whole(reading: Reading) -> None:
    keys: list[Any] = [*range(2000), *(f"k{n}" for n in range(2000)), *(ObjectId() for _ in range(2000)), *KEYS[:3]]
    reading.database.t.insert_many([{"_id": key, "n": n} for n, key in enumerate(keys)])
    plan = reading.source.plan(reading.scope, "t", 6)
    assert len(plan) == 6
    assert (plan[0].lower, plan[-1].upper) == (None, None)
    counts = [sum(batch.row_count for batch in reading.chunks("t", part)) for part in plan]
    assert sum(counts) == len(keys)
    assert min(counts) > len(keys) / 6 / 3


@pytest.mark.parametrize(
    "options",
    [
        {"collation": {"locale": "en", "strength": 2}},
        {"capped": True, "size": 1_000_000},
        {"clusteredIndex": {"key": {"_id": 1}, "unique": True}},
    ],
    ids=lambda options: next(iter(options)),
)
def test_a_collection_with_options_is_read_whole(reading: Reading, options: dict[str, Any]) -> None:
    reading.database.create_collection("t", **options)
    keys = ["b", "A", "c", "D", "e", 5, 6, 7]
    reading.database.t.insert_many([{"_id": key} for key in keys])
    part, rest = KeyRange(None, '{"_id": "c"}'), KeyRange('{"_id": "c"}', None)
    found = [
        row["_id"]
        for half in (part, rest)
        for batch in reading.chunks("t", half, ReadLimits(2, 10**7))
        for row in rows_of(batch)
    ]
    assert sorted(found, key=str) == sorted(keys, key=str)


# SPEC: E9
def test_the_ugly_corpus_arrives_or_is_told(reading: Reading) -> None:
    deep: Any = 1
    for _ in range(95):
        deep = {"a": deep}
    good: list[dict[str, Any]] = [
        {"_id": 1, "v": Int64(2**63 - 1)},
        {"_id": 2, "v": DatetimeMS(-219_951_936_000_000)},
        {"_id": 3, "v": DatetimeMS(2**63 - 1)},
        {"_id": 4, "v": Decimal128("1E+6000")},
        {"_id": 5, "v": "nul\0 here"},
        {"_id": 6, "a.b": 1, "$c": 2, "": 3},
        {"_id": 7, "v": deep},
        {"_id": 8, **{f"f{n}": n for n in range(1000)}},
        {"_id": 9, "v": Regex("x", "i")},
        {"_id": 10, "v": {"d": [float("nan"), DatetimeMS(-(2**63)), MinKey(), Binary(b"x", 9)]}},
    ]
    reading.database.command({"insert": "t", "documents": [RawBSONDocument(bson.encode(value)) for value in good]})
    insert_raw(
        reading,
        "t",
        raw(number(100), (0x02, b"v", b"\2\0\0\0\xff\0")),
        raw(number(101), (0x08, b"v", b"\1"), (0x08, b"v", b"\0")),
        raw(number(102), (0x01, b"v", b"\1\0\0\0\0\0\xf8\x7f")),
        raw(number(103), (0x06, b"v", b"")),
    )
    (batch,) = reading.chunks("t")
    rows = {row["_id"]: row for row in rows_of(batch)}
    assert set(rows) == {*range(1, 11), 102, 103}
    assert rows[1]["v"] == 2**63 - 1
    assert rows[2]["v"] == -219_951_936_000_000
    assert rows[3]["v"] == 2**63 - 1
    assert rows[4]["v"] == "1E+6000"
    assert rows[5]["v"] == "nul\0 here"
    assert rows[6] == {"_id": 6, "a.b": 1, "$c": 2, "": 3}
    assert rows[7]["v"] == '{"a":' * 95 + "1" + "}" * 95
    assert len(rows[8]) == 1001
    assert rows[10]["v"] == '{"d":["NaN","-292275055-05-16T16:47:04.192Z",{"$minKey": 1},"eA=="]}'
    assert str(rows[102]["v"]) == "nan"
    assert rows[103] == {"_id": 103}
    assert {(flaw.key_text, flaw.reason) for flaw in batch.flaws} == {
        ("100", "invalid_utf8"),
        ("101", "duplicate_field"),
    }


# SPEC: E9
def test_documents_of_16_megabytes_are_read(reading: Reading) -> None:
    size = 16 * 2**20 - 100
    for key in range(3):
        reading.database.t.insert_one({"_id": key, "v": "x" * size})
    batches = list(reading.chunks("t"))
    assert [row["_id"] for batch in batches for row in rows_of(batch)] == [0, 1, 2]
    assert {len(row["v"]) for batch in batches for row in rows_of(batch)} == {size}


def test_a_chunk_is_no_older_than_the_position(reading: Reading) -> None:
    # DESIGN: 2, "Snapshot", rule 3.
    for n in range(20):
        reading.database.t.replace_one({"_id": 1}, {"_id": 1, "n": n}, upsert=True)
        chunk = reading.source.read_chunk(reading.scope, "t", KeyRange(), None, LIMITS, reading.end())
        assert rows_of(chunk.batch) == [{"_id": 1, "n": n}]


def test_a_snapshot_may_read_from_any_member(reading: Reading, mongo_db: MongoDatabase) -> None:
    reading.database.t.insert_many([{"_id": n} for n in range(10)])
    for preference in ("primaryPreferred", "secondaryPreferred", "nearest"):
        source = MongoSource(MongoOptions(connection_string=mongo_db.uri, read_preference=preference))
        end = source.log_end(reading.scope)
        chunk = source.read_chunk(reading.scope, "t", KeyRange(), None, LIMITS, end)
        assert chunk.batch.row_count == 10
        reading.database.t.update_one({"_id": 1}, {"$set": {"n": preference}})
        stream = source.stream(reading.scope, end)
        changes = stream.next(LIMITS, timedelta(seconds=30))
        assert changes is not None
        assert rows_of(changes.tables[0]) == [{"_id": 1, "n": preference}]
        assert deletes_of(changes.tables[0]) == []
        stream.close()
        source.close()


# SPEC: D7
def test_marked_rows_of_every_type_are_in_one_window_or_unmarked(reading: Reading) -> None:
    moment = datetime(2024, 1, 1, tzinfo=UTC)
    dates = [DatetimeMS(-(2**62)), moment, moment + timedelta(milliseconds=1), DatetimeMS(2**62)]
    others = [None, "2024", 5, [moment], {"a": moment}, True, Timestamp(1, 1), Regex("a"), MinKey(), MaxKey(), b"", []]
    reading.database.t.insert_many([{"_id": n, "at": value} for n, value in enumerate([*dates, *others])])
    reading.database.t.insert_one({"_id": 99})
    reading.database.t.create_index("at")

    def keys(since: datetime | None, until: datetime | None, unmarked: bool) -> list[int]:
        marked = MarkedRange("at", since, until, unmarked)
        batches = reading.source.read_marked(reading.scope, "t", marked, ReadLimits(3, 10**7))
        return sorted(row["_id"] for batch in batches for row in rows_of(batch))

    unmarked = [*range(4, 4 + len(others)), 99]
    assert keys(None, moment, False) == [0]
    assert keys(moment, moment + timedelta(microseconds=1), False) == [1]
    assert keys(moment + timedelta(microseconds=1), None, False) == [2, 3]
    assert keys(None, None, False) == [0, 1, 2, 3]
    assert keys(moment, moment, True) == unmarked
    assert keys(None, None, True) == [0, 1, 2, 3, *unmarked]


def test_views_time_series_and_system_collections_are_no_tables(reading: Reading) -> None:
    reading.database.create_collection("t")
    reading.database.create_collection("v", viewOn="t", pipeline=[])
    reading.database.create_collection("series", timeseries={"timeField": "at"})
    assert [table.name for table in reading.source.tables(reading.scope)] == ["t"]
