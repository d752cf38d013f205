"""Reading change events."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import bson
import pytest
from bson import Decimal128, Int64, ObjectId, Timestamp
from hypothesis import given, settings
from hypothesis import strategies as st

from warp_resources.connectors.mongodb.events import Effect, Event, identity_of, read_event
from warp_resources.connectors.mongodb.raw import key_of


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


def identity(key: Any) -> Any:
    found = key_of(bson.encode({"_id": key}))
    assert found is not None
    return identity_of(found)


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
    assert event(documentKey={"region": 1, "_id": "x"}).identity == identity("x")


def test_a_rename_has_both_names() -> None:
    read = event(operationType="rename", to={"db": "shop", "coll": "people"})
    assert (read.effect, read.collection, read.new_name) == (Effect.RENAMED, "users", "people")


def test_events_of_one_transaction_share_it() -> None:
    one, other = ({"lsid": {"id": 1}, "txnNumber": Int64(number)} for number in (1, 2))
    assert event(**one).transaction == event(**one).transaction != event(**other).transaction


def test_an_operation_that_is_not_known_has_no_effect() -> None:
    assert event(operationType="reshardCollection").effect is Effect.NONE


@pytest.mark.parametrize(
    ("one", "other"),
    [(1, 1.0), (Int64(2**60), float(2**60)), (Decimal128("1.50"), 1.5), (float("nan"), Decimal128("NaN"))],
    ids=repr,
)
def test_numbers_are_one_key_by_value(one: Any, other: Any) -> None:
    # SPEC: E11
    assert identity(one) == identity(other)
    assert hash(identity(one)) == hash(identity(other))


@settings(deadline=None)
@given(st.lists(st.one_of(st.integers(-(2**63), 2**63 - 1), st.booleans(), st.text("ab\x01"), st.binary(), st.none())))
def test_unlike_keys_are_never_one(keys: list[Any]) -> None:
    distinct = {(type(key), key) for key in keys}
    assert len({identity(key) for _, key in distinct}) == len(distinct)


def test_an_object_id_is_not_its_text() -> None:
    oid = ObjectId()
    assert len({identity(oid), identity(str(oid)), identity(oid.binary)}) == 3
