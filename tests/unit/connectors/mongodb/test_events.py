"""Reading change events."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import bson
import pytest
from bson import Binary, Int64, Timestamp

from warp_resources.connectors.mongodb.events import Effect, Event, read_event


def event(**fields: Any) -> Event:
    envelope = {
        "_id": {"_data": "82"},
        "operationType": "insert",
        "clusterTime": Timestamp(100, 7),
        "wallTime": datetime(2024, 1, 1),
        "ns": {"db": "shop", "coll": "users"},
        "documentKey": {"_id": 5},
    }
    return read_event(bson.encode({**envelope, **fields}))


def test_an_insert() -> None:
    read = event(fullDocument={"_id": 5, "a": 1})
    assert (read.effect, read.collection, read.time, read.transaction) == (Effect.STORED, "users", (100, 7), None)
    assert read.document == bson.encode({"_id": 5, "a": 1})
    assert read.identity == 5
    assert read.occurred_at == datetime(2024, 1, 1, tzinfo=UTC)


def test_the_cluster_time_stands_in_for_the_wall_clock() -> None:
    raw = bson.encode(
        {"_id": {}, "operationType": "dropDatabase", "clusterTime": Timestamp(100, 1), "ns": {"db": "shop"}}
    )
    read = read_event(raw)
    assert read.occurred_at == datetime(1970, 1, 1, 0, 1, 40, tzinfo=UTC)
    assert (read.effect, read.collection, read.key) == (Effect.DATABASE_DROPPED, "", None)


def test_a_key_is_taken_out_of_a_shard_key() -> None:
    assert event(documentKey={"region": 1, "_id": "x"}).identity == event(documentKey={"_id": "x"}).identity


def test_a_rename_has_both_names() -> None:
    read = event(operationType="rename", to={"db": "shop", "coll": "people"})
    assert (read.effect, read.collection, read.new_name) == (Effect.RENAMED, "users", "people")


def test_events_of_one_transaction_share_it() -> None:
    one, other = ({"lsid": {"id": 1}, "txnNumber": Int64(number)} for number in (1, 2))
    assert event(**one).transaction == event(**one).transaction != event(**other).transaction


def test_an_operation_that_is_not_known_has_no_effect() -> None:
    assert event(operationType="reshardCollection").effect is Effect.NONE


@pytest.mark.parametrize("operation", ["insert", "update", "delete", "rename", "dropDatabase", "other"])
@pytest.mark.parametrize("rest", [{}, {"documentKey": {"_id": 5}, "fullDocument": {"_id": 5}, "txnNumber": Int64(1)}])
def test_the_order_of_the_fields_does_not_matter(operation: str, rest: dict[str, Any]) -> None:
    usual = {
        "_id": {"_data": "82", "_typeBits": b"x"},
        "operationType": operation,
        "clusterTime": Timestamp(100, 7),
        "collectionUUID": Binary(b"u" * 16, 4),
        "wallTime": datetime(2024, 1, 1),
        **rest,
        "ns": {"db": "shop", "coll": "users"},
        "lsid": {"id": 1},
    }
    read = read_event(bson.encode(usual))
    assert read.occurred_at == datetime(2024, 1, 1, tzinfo=UTC)
    for other in (reversed(usual.items()), sorted(usual.items())):
        assert read_event(bson.encode(dict(other))) == read
    without_unique = {name: value for name, value in usual.items() if name != "collectionUUID"}
    assert read_event(bson.encode(without_unique)) == replace(read, size=len(bson.encode(without_unique)))


def test_an_event_may_end_with_its_head() -> None:
    raw = bson.encode({"_id": {}, "operationType": "invalidate", "clusterTime": Timestamp(100, 7)})
    assert read_event(raw).time == (100, 7)
