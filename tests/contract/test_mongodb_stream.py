"""The change stream of a real MongoDB: what a cut holds, and from where it can go on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import Decimal128, Int64
from pymongo import MongoClient

from tests.contract.mongodb_reading import LIMITS, WAIT, Reading, deletes_of, drain, rows_of, stored
from tests.fixtures.servers import MongoDatabase
from warp_resources.connectors.interfaces import ReadLimits, SourceScope
from warp_resources.connectors.mongodb.embedded import EmbeddedMongod
from warp_resources.connectors.mongodb.options import MongoOptions
from warp_resources.connectors.mongodb.source import MongoSource
from warp_resources.connectors.mongodb.tokens import token_of, token_time
from warp_resources.errors import HistoryLost, TransientError
from warp_resources.model.batches import Changes, TableBatch, TableEventKind

pytestmark = pytest.mark.servers


def only(changes: Changes) -> TableBatch:
    (batch,) = changes.tables
    return batch


# SPEC: T7
def test_a_cut_holds_the_last_state_of_each_key(reading: Reading) -> None:
    start, users = reading.end(), reading.database.users
    users.insert_many([{"_id": n, "n": 0} for n in range(4)])
    for n in range(1, 50):
        users.update_one({"_id": 0}, {"$set": {"n": n}})
    users.replace_one({"_id": 1}, {"_id": 1, "other": True})
    users.delete_one({"_id": 2})
    users.insert_one({"_id": 2, "again": 1})
    users.delete_one({"_id": 3})
    (cut,) = reading.cuts(start)
    assert cut.event_count == 57
    batch = only(cut)
    assert sorted(rows_of(batch), key=lambda row: row["_id"]) == [
        {"_id": 0, "n": 49},
        {"_id": 1, "other": True},
        {"_id": 2, "again": 1},
    ]
    assert deletes_of(batch) == [3]
    assert cut.occurred_at is not None
    assert abs(cut.occurred_at - datetime.now(UTC)) < timedelta(hours=2)


# SPEC: E11
def test_a_number_stored_anew_as_another_type_is_one_key(reading: Reading) -> None:
    start, users = reading.end(), reading.database.users
    users.insert_one({"_id": 1})
    users.delete_one({"_id": 1})
    users.insert_one({"_id": 1.0, "n": 1})
    users.insert_one({"_id": Int64(2)})
    users.delete_one({"_id": 2.0})
    batch = only(reading.cuts(start)[0])
    assert rows_of(batch) == [{"_id": 1.0, "n": 1}]
    assert deletes_of(batch) == [2]


# SPEC: E11
@pytest.mark.parametrize(
    ("gone", "again"),
    [({"a": Int64(1)}, {"a": 1}), (0.5, Decimal128("0.50")), (Int64(7), Decimal128("7.0"))],
    ids=repr,
)
def test_a_key_that_is_stored_alike_is_not_deleted_and_written_in_one_cut(
    reading: Reading, gone: Any, again: Any
) -> None:
    users = reading.database.users
    users.insert_one({"_id": gone})
    start = reading.end()
    users.delete_one({"_id": gone})
    users.insert_one({"_id": again, "n": 0})
    users.update_one({"_id": again}, {"$set": {"n": 1}})
    batch = only(reading.cuts(start)[0])
    assert ([row["n"] for row in rows_of(batch)], batch.delete_count) == ([1], 0)


@pytest.mark.parametrize("key", [None, {"a": 1}, {}, True, "é", b"x", {"$ref": "a", "$id": 1}], ids=repr)
def test_any_key_is_looked_up_and_deleted(reading: Reading, key: Any) -> None:
    reading.database.users.insert_one({"_id": key, "n": 1})
    start = reading.end()
    reading.database.users.update_one({"_id": key}, {"$set": {"n": 2}})
    middle = reading.end()
    assert [row["n"] for row in rows_of(only(reading.cuts(start)[0]))] == [2]
    reading.database.users.delete_one({"_id": key})
    assert len(deletes_of(only(reading.cuts(middle)[0]))) == 1


# FAULTS: 11
def test_an_update_whose_document_is_gone_is_left_out(reading: Reading) -> None:
    reading.database.users.insert_one({"_id": 1, "n": 0})
    start = reading.end()
    reading.database.users.update_one({"_id": 1}, {"$set": {"n": 1}})
    reading.database.users.update_one({"_id": 1}, {"$set": {"n": 2}})
    reading.database.users.delete_one({"_id": 1})
    cuts = reading.cuts(start, ReadLimits(1, 10**7))
    assert [(batch.row_count, deletes_of(batch)) for cut in cuts for batch in cut.tables] == [(0, [1])]


# SPEC: T7; FAULTS: 10
def test_a_cut_ends_with_a_transaction(reading: Reading, mongo_db: MongoDatabase) -> None:
    users = reading.database.users
    users.insert_one({"_id": -1})
    start = reading.end()
    users.insert_many([{"_id": n} for n in range(3)])
    with mongo_db.client.start_session() as session, session.start_transaction():
        users.insert_many([{"_id": n} for n in range(10, 30)], session=session)
        users.delete_one({"_id": -1}, session=session)
    users.insert_one({"_id": 99})
    cuts = reading.cuts(start, ReadLimits(5, 10**7))
    assert [(batch.row_count, batch.delete_count) for cut in cuts for batch in cut.tables] == [(3, 0), (20, 1), (1, 0)]


def test_a_transaction_beyond_the_bytes_is_cut_and_goes_on_from_within(
    reading: Reading, mongo_db: MongoDatabase
) -> None:
    users = reading.database.users
    users.insert_one({"_id": -1})
    start = reading.end()
    with mongo_db.client.start_session() as session, session.start_transaction():
        users.insert_many([{"_id": n, "v": "x" * 10_000} for n in range(20)], session=session)
    end = reading.end()
    limits = ReadLimits(None, 50_000)
    first = reading.stream(start).next(limits, WAIT)
    assert first is not None
    assert 0 < only(first).row_count < 20
    assert not reading.source.is_reached(stored(first.position), end)
    # A chunk that is read now must show what the stream has already brought of the transaction.
    chunk = reading.source.read_chunk(
        reading.scope, "users", reading.source.plan(reading.scope, "users", 1)[0], None, LIMITS, stored(first.position)
    )
    assert chunk.batch.row_count == 21
    rest = reading.cuts(stored(first.position), limits)
    keys = [row["_id"] for cut in (first, *rest) for batch in cut.tables for row in rows_of(batch)]
    assert keys == list(range(20))


# FAULTS: 8
def test_the_position_moves_while_only_others_write(reading: Reading, mongo_db: MongoDatabase) -> None:
    start = reading.end()
    scope = reading.narrowed("quiet")
    stream = reading.stream(start, scope)
    other = mongo_db.client[f"{mongo_db.name}_other"]
    other.noise.insert_one({"_id": 1})
    reading.database.users.insert_one({"_id": 1})
    (changes,) = drain(reading.source, stream, reading.end())
    assert (changes.tables, changes.event_count) == ((), 0)
    assert changes.position != start
    mongo_db.client.drop_database(other.name)
    reading.database.quiet.insert_one({"_id": 1})
    (cut,) = [cut for cut in reading.cuts(stored(changes.position), scope=scope) if cut.tables]
    assert only(cut).table.name == "quiet"


# SPEC: C3
def test_a_backlog_is_one_cut_and_limits_hold(reading: Reading) -> None:
    start = reading.end()
    reading.database.users.insert_many([{"_id": n, "v": "x" * 100} for n in range(12_000)])
    (whole,) = reading.cuts(start)
    assert only(whole).row_count == 12_000
    by_rows = reading.cuts(start, ReadLimits(5_000, 10**8))
    assert [only(cut).row_count for cut in by_rows if cut.tables] == [5_000, 5_000, 2_000]
    by_bytes = reading.cuts(start, ReadLimits(None, 1_000_000))
    assert max(only(cut).byte_count for cut in by_bytes) < 1_100_000


# SPEC: X3; FAULTS: 9
def test_drop_and_rename_are_told_and_end_their_cut(reading: Reading) -> None:
    start, database = reading.end(), reading.database
    database.a.insert_one({"_id": 1})
    database.a.drop()
    database.a.insert_one({"_id": 2})
    database.a.rename("b")
    database.b.insert_one({"_id": 3})
    cuts = [cut for cut in reading.cuts(start) if cut.event_count]
    told = [[(event.kind, event.table.name) for event in cut.events] for cut in cuts]
    assert told == [
        [(TableEventKind.DROPPED, "a")],
        [(TableEventKind.RENAMED, "a"), (TableEventKind.REPLACED, "b")],
        [],
    ]
    tables = [[(batch.table.name, rows_of(batch)) for batch in cut.tables] for cut in cuts]
    assert tables == [[("a", [{"_id": 1}])], [("a", [{"_id": 2}])], [("b", [{"_id": 3}])]]
    assert cuts[1].events[0].detail == "it is now called b"


# SPEC: X3; FAULTS: 9
def test_a_stream_outlives_its_database(reading: Reading, mongo_db: MongoDatabase) -> None:
    reading.database.a.insert_one({"_id": 1})
    start = reading.end()
    mongo_db.client.drop_database(mongo_db.name)
    reading.database.a.insert_one({"_id": 2})
    cuts = reading.cuts(start)
    kinds = [event.kind for cut in cuts for event in cut.events]
    assert kinds == [TableEventKind.DROPPED, TableEventKind.DATABASE_DROPPED]
    assert [rows_of(batch) for cut in cuts for batch in cut.tables] == [[{"_id": 2}]]
    for cut in cuts[:-1]:
        rest = reading.cuts(stored(cut.position))
        assert [rows_of(batch) for again in rest for batch in again.tables] == [[{"_id": 2}]]


# FAULTS: 7
def test_a_position_at_an_event_that_is_out_of_scope_now_goes_on_by_time(reading: Reading) -> None:
    start = reading.end()
    reading.database.a.insert_one({"_id": 1})
    reading.database.b.insert_one({"_id": 2})
    reading.database.a.insert_one({"_id": 3})
    end = reading.end()
    first = next(drain(reading.source, reading.stream(start), end, ReadLimits(1, 10**7)))
    assert only(first).table.name == "a"
    rest = reading.cuts(stored(first.position), scope=reading.narrowed("b", "c*"))
    assert [(batch.table.name, rows_of(batch)) for cut in rest for batch in cut.tables] == [("b", [{"_id": 2}])]


# SPEC: R3
def test_a_killed_cursor_is_transient_and_the_position_goes_on(reading: Reading, mongo_db: MongoDatabase) -> None:
    start = reading.end()
    reading.database.a.insert_one({"_id": 1})
    stream = reading.stream(start)
    changes = stream.next(LIMITS, WAIT)
    assert changes is not None
    mongo_db.client.admin.command("killAllSessions", [])
    reading.database.a.insert_one({"_id": 2})
    with pytest.raises(TransientError):
        stream.next(LIMITS, WAIT)
    stream.close()
    (cut,) = [cut for cut in reading.cuts(stored(changes.position)) if cut.tables]
    assert rows_of(only(cut)) == [{"_id": 2}]


# SPEC: E9; FAULTS: 12
def test_an_event_beyond_16_megabytes_is_looked_up(reading: Reading) -> None:
    start = reading.end()
    reading.database.a.insert_one({"_id": 1})
    # The event has the key three times: in the document, in documentKey and in its token.
    key = "k" * 1_500_000
    reading.database.a.insert_one({"_id": key, "v": "x" * 13_000_000})
    reading.database.a.insert_one({"_id": 2})
    rows = [row for cut in reading.cuts(start) for batch in cut.tables for row in rows_of(batch)]
    assert {(row["_id"][:1] if isinstance(row["_id"], str) else row["_id"], len(row.get("v", ""))) for row in rows} == {
        (1, 0),
        ("k", 13_000_000),
        (2, 0),
    }


# SPEC: E9; FAULTS: 12
def test_an_event_whose_key_leaves_no_room_for_its_token_twice(reading: Reading) -> None:
    start = reading.end()
    for key in ("k" * 5_000_000, 1):
        reading.database.a.insert_one({"_id": key})
    cuts = reading.cuts(start, ReadLimits(1, 10**8))
    assert [len(str(row["_id"])) for cut in cuts for batch in cut.tables for row in rows_of(batch)] == [5_000_000, 1]


def test_names_that_need_quoting_are_matched(reading: Reading) -> None:
    # SPEC: Z4
    names = ["a.b", "a+b", "ключ", 'say "hi"', "a{1}"]
    for name in names:
        reading.database.create_collection(name)
    start = reading.end()
    for name in [*names, "axb", "aab"]:
        reading.database[name].insert_one({"_id": 1})
    cuts = reading.cuts(start, scope=reading.narrowed(*names))
    assert {batch.table.name for cut in cuts for batch in cut.tables} == set(names)
    cuts = reading.cuts(start, scope=reading.narrowed("a.*", "?aab", "[xa]ab", exclude=("a+b",)))
    assert {batch.table.name for cut in cuts for batch in cut.tables} == {"a.b", "aab"}


# SPEC: R4; FAULTS: 6
def test_history_that_has_rolled_over_is_lost_and_says_so() -> None:
    # The oplog is cut at checkpoints, of which there is one each second here.
    with (
        EmbeddedMongod(arguments=("--oplogSize", "1", "--syncdelay", "1")) as server,
        MongoClient(server.uri) as client,
    ):
        source = MongoSource(MongoOptions(connection_string=server.uri))
        reading = Reading(source, SourceScope("shop", "rolling"), client["rolling"])
        reading.database.a.insert_one({"_id": 0})
        start = reading.end()
        _roll_over(client, token_time(token_of(start)))
        with pytest.raises(HistoryLost) as caught:
            reading.stream(start).next(LIMITS, WAIT)
        assert "resync" in str(caught.value).lower()
        source.close()


def _roll_over(client: MongoClient[dict[str, Any]], past: tuple[int, int]) -> None:
    """Write until the oldest entry of the oplog is younger than a cluster time."""
    for n in range(5_000):
        client["rolling"].a.replace_one({"_id": 0}, {"_id": 0, "n": n, "v": "x" * 500_000}, upsert=True)
        oldest = client["local"]["oplog.rs"].find_one(sort=[("$natural", 1)])
        if oldest is not None and (oldest["ts"].time, oldest["ts"].inc) > past:
            return
    raise AssertionError("the oplog did not roll over")
