"""What the positions of a real MongoDB's stream promise: nothing too early, and nothing late (SPEC L2)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.contract.mongodb_reading import LIMITS, WAIT, Reading, stored
from tests.fixtures.servers import MongoDatabase
from warp_resources.model.positions import KeyRange

pytestmark = pytest.mark.servers

_AT_ONCE = timedelta(milliseconds=1)
# The server writes a no-op only every 10 s: these are far fewer.
_FEW_READS = 4


def test_an_idle_stream_is_at_its_end_at_once(reading: Reading, mongo_db: MongoDatabase) -> None:
    # No later write of anybody's is needed for a stream to have reached the end of the log.
    users = reading.database.users
    start = reading.end()
    assert reading.source.is_reached(start, start)
    users.insert_one({"_id": 1})
    end = reading.end()
    assert not reading.source.is_reached(start, end)
    stream = reading.stream(start)
    changes = stream.next(LIMITS, WAIT)
    assert changes is not None
    assert reading.source.is_reached(changes.position, end)
    with mongo_db.client.start_session() as session, session.start_transaction():
        users.insert_many([{"_id": n} for n in range(2, 5)], session=session)
    end = reading.end()
    changes = stream.next(LIMITS, WAIT)
    assert changes is not None
    assert reading.source.is_reached(changes.position, end)
    assert stream.next(LIMITS, timedelta(milliseconds=1)) is None
    stream.close()


def test_a_chunk_can_be_read_at_the_position_of_a_stream_that_is_idle(reading: Reading) -> None:
    """The server's token for "nothing so far" may lie one tick ahead of the clock that it reads by."""
    # SPEC: M5
    for number in range(5):
        reading.database.t.insert_one({"_id": number})
        start = reading.source.log_end(reading.scope)
        stream = reading.source.stream(reading.scope, start)
        moved = stream.next(LIMITS, timedelta(milliseconds=5))
        stream.close()
        for position in (start, moved.position if moved else start):
            chunk = reading.source.read_chunk(reading.scope, "t", KeyRange(), None, LIMITS, position)
            assert chunk.batch.row_count == number + 1


def write(reading: Reading) -> None:
    reading.database.users.insert_one({})


def write_elsewhere(reading: Reading) -> None:
    reading.database.client[f"{reading.database.name}_elsewhere"].noise.insert_one({})


def write_out_of_scope(reading: Reading) -> None:
    reading.database.other.insert_one({})


def write_a_transaction(reading: Reading) -> None:
    with reading.database.client.start_session() as session, session.start_transaction():
        reading.database.users.insert_many([{}, {}], session=session)


def drop(reading: Reading) -> None:
    reading.database.users.insert_one({})
    reading.database.users.drop()


# SPEC: L2
@pytest.mark.parametrize("act", [write, write_elsewhere, write_out_of_scope, write_a_transaction, drop])
@pytest.mark.parametrize("round_number", range(3))
def test_the_end_of_the_log_is_reached_without_a_later_write(
    reading: Reading, mongo_db: MongoDatabase, act: Callable[[Reading], None], round_number: int
) -> None:
    scope = reading.narrowed("users")
    mongo_db.database.create_collection("users")
    mongo_db.database.create_collection("other")
    stream = reading.stream(reading.end(), scope)
    if round_number:
        # An idle stream has been at the end before.
        stream.next(LIMITS, _AT_ONCE)
    act(reading)
    target = reading.end()
    reached = False
    for _ in range(_FEW_READS):
        changes = stream.next(LIMITS, WAIT)
        reached = reached or (changes is not None and reading.source.is_reached(stored(changes.position), target))
    stream.close()
    mongo_db.client.drop_database(f"{mongo_db.name}_elsewhere")
    assert reached


# SPEC: L2
def test_an_idle_stream_has_not_reached_what_is_written_later(reading: Reading) -> None:
    """The server's token for "nothing so far" may lie one tick ahead, at the time of the next write."""
    for _ in range(20):
        reading.database.users.insert_one({})
        start = reading.end()
        stream = reading.stream(start)
        changes = stream.next(LIMITS, _AT_ONCE)
        before = stored(changes.position) if changes else start
        reading.database.users.insert_one({})
        target = reading.end()
        assert not reading.source.is_reached(before, target)
        changes = stream.next(LIMITS, WAIT)
        assert changes is not None
        assert changes.event_count == 1
        assert reading.source.is_reached(changes.position, target)
        stream.close()
