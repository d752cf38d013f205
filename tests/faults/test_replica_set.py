"""A replica set of three loses its primary in all the ways it can, under a stream and under a first load."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from tests.faults.members import QUICK, Members
from tests.faults.stage import Stage, staged
from tests.pairs.process import Command, stop
from warp_resources.connectors.mongodb.embedded import EmbeddedMongod

pytestmark = pytest.mark.servers

_TESTING = ("--oplogSize", "50", "--setParameter", "enableTestCommands=1")
_TABLES = "select table_name from information_schema.tables where table_schema = %s"
_OPEN = "select table_name from cartridge_warp_metadata.slices where schema_name = %s and not is_done"
_DELETED = "select table_name from cartridge_warp_metadata.deletion_log where schema_name = %s"
_COLUMNS = "select column_name from information_schema.columns where table_schema = %s and table_name = 'ledger'"


@pytest.fixture(scope="module")
def trio() -> Iterator[Members]:
    with (
        EmbeddedMongod(member_count=3, arguments=_TESTING) as server,
        MongoClient[dict[str, Any]](server.uri, tz_aware=True, **QUICK) as client,
    ):
        found = Members(server, client)
        found.hasten()
        yield found


@pytest.fixture
def members(trio: Members) -> Iterator[Members]:
    yield trio
    trio.heal()


@pytest.fixture
def name(members: Members) -> Iterator[str]:
    found = f"db_{uuid.uuid4().hex[:12]}"
    yield found
    members.heal()
    members.client.drop_database(found)


@pytest.fixture
def stage(tmp_path: Path, members: Members, warehouse: str, name: str) -> Stage:
    return staged(tmp_path, members.client, members.server.uri, warehouse, name)


def _steps_down(members: Members) -> None:
    members.step_down()


def _is_killed(members: Members) -> None:
    members.server.kill_member(members.primary)


def _is_frozen(members: Members) -> None:
    members.freeze(members.primary)


_FAULTS = (_steps_down, _is_killed, _is_frozen)


def lose_primary(stage: Stage, members: Members, fault: Callable[[Members], None]) -> None:
    """Lose it, see a change arrive from its successor, and bring it back."""
    was, began = members.primary, time.monotonic()
    stage.inject(f"the primary {fault.__name__.strip('_').replace('_', ' ')}")
    fault(members)
    members.wait_for_another(was)
    elected = time.monotonic()
    members.surely(lambda: stage.database[fault.__name__].replace_one({"_id": 1}, {}, upsert=True))
    written = time.monotonic()
    stage.eventually(lambda: fault.__name__ in stage.query(_TABLES))
    print(
        f"new primary after {elected - began:.1f} s, a write to it took {written - elected:.1f} s"
        f" and arrived {time.monotonic() - written:.1f} s later"
    )
    members.heal()


# SPEC: R3, M5, T7  FAULTS: 5
def test_a_stream_and_a_first_load_outlive_every_primary(stage: Stage, members: Members, tmp_path: Path) -> None:
    slow = {"orders": {"full_load_batch_size": 4}}
    stage.command = Command(tmp_path, members.server.uri, stage.warehouse, stage.schema, tables=slow)
    users, orders = stage.machine(), stage.machine("orders", seed=2)
    orders.fill(1500)
    users.fill(200)
    with (
        stage.running(failpoints="chunk.read=sleep:0.15%100") as process,
        users.running(50),
        orders.running(20),
    ):
        stage.eventually(lambda: "orders" in stage.query(_TABLES))
        for fault in _FAULTS:
            lose_primary(stage, members, fault)
        assert "orders" in stage.query(_OPEN), "the first load was over before the faults were"
        assert stop(process) == 0
    stage.judge()


# SPEC: R3  FAULTS: 5
def test_what_is_rolled_back_never_arrives(stage: Stage, members: Members) -> None:
    machine, ledger = stage.machine(), stage.database["ledger"]
    machine.fill(100)
    ledger.insert_many([{"_id": number, "n": 0} for number in range(20)])
    was = members.primary
    others = [number for number in range(3) if number != was]
    stage.command.once()
    with ExitStack() as running:
        with members.failing("stopReplProducer", *others), members.unelectable(*others):
            stage.inject("writes that only the primary has")
            with members.direct(was) as alone:
                unsure = alone[stage.schema]["ledger"]
                unsure.insert_many([{"_id": f"lost {number}", "only_there": 1} for number in range(100)])
                unsure.update_many({"_id": {"$lt": 10}}, {"$set": {"only_there": 1}})
                unsure.delete_many({"_id": {"$gte": 15}})
            process = running.enter_context(stage.running("run", "--full-resync"))
            # Both tables are loaded, and are now read again beside those writes.
            stage.eventually(lambda: stage.command.log.count("snapshot complete") == 4)
            assert _of_member(members, was, stage, {"only_there": 1}) == 110, "it lost its place too early"
            members.freeze(was)
        members.wait_for_another(was)
        assert ledger.count_documents({}) == 20, "the secondaries had what was to be rolled back"
        with machine.running(50):
            members.surely(lambda: ledger.update_many({}, {"$set": {"n": 1}}))
            members.heal()
            stage.eventually(lambda: _of_member(members, was, stage, {"only_there": 1}) == 0)
        stage.judge(process)
    assert "ledger" not in stage.query(_DELETED)
    assert "only_there" not in stage.query(_COLUMNS)


# SPEC: R3  FAULTS: 5
def test_a_secondary_that_lags_shows_nothing_old(stage: Stage, members: Members, tmp_path: Path) -> None:
    machine = stage.machine()
    machine.fill(300)
    stage.command.once()
    lagging, unseen = (number for number in range(3) if number != members.primary)
    with members.hidden(unseen), ExitStack() as running:
        with members.failing("rsSyncApplyStop", lagging):
            machine.burst(300)
            stage.command.once()
            stage.inject("a secondary that knows nothing of what has arrived")
            top = {"source": {"read_preference": "secondary"}}
            stage.command = Command(tmp_path, members.server.uri, stage.warehouse, stage.schema, top=top)
            process = running.enter_context(stage.running("run", "--full-resync"))
            stage.eventually(lambda: _waits(members, lagging))
            assert stage.differences() == []
        with machine.running(50):
            stage.eventually(lambda: not stage.query(_OPEN))
        stage.judge(process)


def _of_member(members: Members, number: int, stage: Stage, query: dict[str, Any]) -> int:
    try:
        with members.direct(number) as client:
            return client[stage.schema]["ledger"].count_documents(query)
    except PyMongoError:
        # While it rolls back it answers nobody.
        return -1


def _waits(members: Members, number: int) -> bool:
    """Whether a read of ours waits for this member to catch up."""
    with members.direct(number) as client:
        found = client.admin.aggregate(
            [{"$currentOp": {}}, {"$match": {"appName": "cartridge-warp", "command.find": "users"}}]
        )
        return any(found)
