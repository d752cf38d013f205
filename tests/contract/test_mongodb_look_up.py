"""How much a cut holds whose documents have to be looked up (SPEC C3, R2)."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from tests.contract.mongodb_reading import Reading, deletes_of, rows_of, stored
from tests.fixtures.servers import MongoDatabase
from warp_resources.connectors.interfaces import ReadLimits
from warp_resources.model.batches import Changes

pytestmark = pytest.mark.servers

MAX_BYTES = 8_000_000
LIMITS = ReadLimits(None, MAX_BYTES)
LARGE = "x" * 1_000_000


def keys_of(cut: Changes) -> list[Any]:
    return [row["_id"] for batch in cut.tables for row in rows_of(batch)]


# FAULTS: 28
def test_documents_that_will_be_looked_up_count_as_bytes(reading: Reading) -> None:
    reading.database.users.insert_many([{"_id": n, "v": "x" * 100_000, "n": 0} for n in range(100)])
    start = reading.end()
    reading.database.users.update_many({}, {"$inc": {"n": 1}})
    cuts = reading.cuts(start, ReadLimits(None, 2_000_000))
    assert sum(batch.row_count for cut in cuts for batch in cut.tables) == 100
    assert max(cut.byte_count for cut in cuts) < 2_300_000


def fill(reading: Reading, *names: str, large: int = 40, small: int = 20_000) -> None:
    """Small documents, so that the average tells nothing, and a few large ones."""
    for name in names:
        reading.database[name].insert_many([{"_id": number} for number in range(large, large + small)])
        reading.database[name].insert_many([{"_id": number, "v": LARGE} for number in range(large)])


# SPEC: C3; FAULTS: 28
@pytest.mark.parametrize("order", ["ascending", "shuffled"])
def test_documents_above_the_average_are_not_held_all_at_once(reading: Reading, order: str) -> None:
    fill(reading, "users", "orders")
    start = reading.end()
    keys = list(range(40))
    if order == "shuffled":
        random.Random(1).shuffle(keys)
    for key in keys:
        for name in ("users", "orders"):
            reading.database[name].update_one({"_id": key}, {"$set": {"n": 1}})
    cuts = reading.cuts(start, LIMITS)
    assert sum(cut.event_count for cut in cuts) == 80
    assert Counter(key for cut in cuts for key in keys_of(cut)) == Counter(2 * keys)
    assert max(cut.byte_count for cut in cuts) <= 1.5 * MAX_BYTES
    assert len([cut for cut in cuts if cut.tables]) <= 40, "cuts are not needlessly small"
    # Every cut is a place to go on from.
    middle = len(cuts) // 2
    rest = [key for cut in reading.cuts(stored(cuts[middle - 1].position), LIMITS) for key in keys_of(cut)]
    assert Counter(rest) == Counter(key for cut in cuts[middle:] for key in keys_of(cut))


# SPEC: C3
def test_the_cuts_grow_again_after_large_documents(reading: Reading) -> None:
    fill(reading, "users")
    start = reading.end()
    reading.database.users.update_many({"_id": {"$lt": 10}}, {"$set": {"n": 1}})
    reading.database.users.update_many({"_id": {"$gte": 40}}, {"$set": {"n": 1}})
    cuts = [cut for cut in reading.cuts(start, LIMITS) if cut.event_count]
    assert sum(cut.event_count for cut in cuts) == 20_010
    assert len(cuts) < 12


# SPEC: T7; FAULTS: 10
def test_a_transaction_is_cut_only_where_its_documents_force_it(reading: Reading, mongo_db: MongoDatabase) -> None:
    fill(reading, "users")
    users = reading.database.users
    start = reading.end()
    for keys in (range(6), range(6, 11), range(11, 40)):
        with mongo_db.client.start_session() as session, session.start_transaction():
            users.update_many({"_id": {"$in": list(keys)}}, {"$set": {"n": 1}}, session=session)
    cuts = [cut for cut in reading.cuts(start, LIMITS) if cut.event_count]
    keys = [sorted(keys_of(cut)) for cut in cuts]
    assert keys[:2] == [list(range(6)), list(range(6, 11))]
    assert sorted(key for part in keys[2:] for key in part) == list(range(11, 40))
    assert max(cut.byte_count for cut in cuts) <= 1.5 * MAX_BYTES


# FAULTS: 11
def test_a_cut_that_is_shortened_holds_the_last_state_of_each_of_its_keys(reading: Reading) -> None:
    fill(reading, "users")
    users = reading.database.users
    start = reading.end()
    users.update_many({"_id": {"$lt": 40}}, {"$set": {"n": 1}})
    users.replace_one({"_id": 0}, {"_id": 0, "n": 2})
    users.delete_many({"_id": {"$in": [1, 39]}})
    state: dict[Any, Any] = {}
    for cut in reading.cuts(start, LIMITS):
        for batch in cut.tables:
            state |= {row["_id"]: row["n"] for row in rows_of(batch)}
            for key in deletes_of(batch):
                state.pop(key, None)
    assert state == {0: 2, **dict.fromkeys(range(2, 39), 1)}


def test_one_document_above_the_limit_is_a_cut_of_its_own(reading: Reading) -> None:
    fill(reading, "users", large=3)
    start = reading.end()
    reading.database.users.update_many({"_id": {"$lt": 3}}, {"$set": {"n": 1}})
    cuts = [cut for cut in reading.cuts(start, ReadLimits(None, 100_000)) if cut.event_count]
    assert [keys_of(cut) for cut in cuts] == [[0], [1], [2]]
