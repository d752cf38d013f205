"""The source forgets what follows a position: of a schema, of one table, again and again (SPEC R4)."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from tests.faults.machine import Machine
from tests.faults.stage import Stage, staged
from tests.pairs.oracle import differences
from tests.pairs.process import Command, stop
from warp_resources.connectors.mongodb.embedded import EmbeddedMongod

pytestmark = pytest.mark.servers

# The oplog is cut at checkpoints, of which there is one each second here.
_FORGETFUL = ("--oplogSize", "1", "--syncdelay", "1")
_TOLD = "select table_name || ' ' || error_type from cartridge_warp_metadata.error_log where schema_name = %s"
_LOST = (
    "select table_name from cartridge_warp_metadata.error_log where schema_name = %s and error_type = 'history_lost'"
)
_LOST_FOR_GOOD = (
    "select message from cartridge_warp_metadata.error_log where schema_name = %s and error_type = 'HistoryLost'"
)
_MARKER = """
    select (position -> 'time' ->> 0)::bigint from cartridge_warp_metadata.sync_markers
     where schema_name = %s and table_name = ''
"""
_IN_CHUNKS = {name: {"full_load_batch_size": 20} for name in ("users", "orders")}


@pytest.fixture(scope="module")
def forgetful() -> Iterator[tuple[EmbeddedMongod, MongoClient[dict[str, Any]]]]:
    with (
        EmbeddedMongod(arguments=_FORGETFUL) as server,
        MongoClient[dict[str, Any]](server.uri, tz_aware=True) as client,
    ):
        yield server, client


@pytest.fixture
def stage(
    tmp_path: Path, forgetful: tuple[EmbeddedMongod, MongoClient[dict[str, Any]]], warehouse: str
) -> Iterator[Stage]:
    server, client = forgetful
    name = f"db_{uuid.uuid4().hex[:12]}"
    yield staged(tmp_path, client, server.uri, warehouse, name)
    client.drop_database(name)


def roll_over(stage: Stage, pause: Callable[[], object] = lambda: None) -> None:
    """Write elsewhere until the oplog has forgotten all that there is now; ``pause`` between two writes."""
    stage.inject("the oplog rolled over")
    log = stage.client["local"]["oplog.rs"]
    newest = log.find_one(sort=[("$natural", -1)])
    assert newest is not None
    noise = stage.client["noise"]["noise"]
    for number in range(5_000):
        noise.replace_one({"_id": 0}, {"_id": 0, "n": number, "v": "x" * 500_000}, upsert=True)
        pause()
        oldest = log.find_one(sort=[("$natural", 1)])
        if oldest is not None and oldest["ts"] > newest["ts"]:
            return
    raise AssertionError("the oplog did not roll over")


# SPEC: R4, T7  FAULTS: 6
def test_history_is_lost_under_an_open_snapshot_and_again_under_each_resync(stage: Stage, tmp_path: Path) -> None:
    users, orders = stage.machine(), stage.machine("orders", seed=2)
    users.fill(200)
    stage.command.once()
    stage.command = _command(stage, tmp_path, tables=_IN_CHUNKS)
    orders.fill(200)
    stage.dies("chunk.read=kill@4")
    for failpoints in ("stream.restarted=kill", "chunk.written=kill@4"):
        _change_and_forget(stage, users, orders)
        stage.dies(failpoints)
    _change_and_forget(stage, users, orders)
    with stage.running() as process:
        with users.running(50), orders.running(50):
            stage.eventually(lambda: len(stage.query(_LOST)) == 6)
        stage.judge(process, errors={"history_lost", "history_short", "generation_abandoned"})
    # One entry per loss and table: no loss was met twice.
    assert len(stage.query(_LOST)) == 6


# SPEC: R4, L3, M3  FAULTS: 6
def test_a_schema_stops_with_the_remedy_while_others_go_on(stage: Stage, tmp_path: Path) -> None:
    strict = {"error_handling": {"on_history_lost": "fail"}}
    stage.command = _command(stage, tmp_path, top=strict)
    machine, other = stage.machine(), stage.client[f"{stage.schema}_other"]
    machine.fill(100)
    stage.command.once()
    machine.burst(50)
    roll_over(stage)
    other["users"].insert_one({"_id": 1})
    both = [{"name": name, "database": name} for name in (stage.schema, other.name)]
    stage.command = _command(stage, tmp_path, top={**strict, "schemas": both})
    with stage.running() as process:
        stage.eventually(lambda: bool(stage.query(_LOST_FOR_GOOD)))
        for number in range(2, 5):
            other["users"].insert_one({"_id": number})
            stage.eventually(lambda: differences(other, stage.warehouse, other.name, "users"))
        stage.eventually(lambda: '"event": "stopped"' in stage.command.log)
        assert stop(process) == 1
    stage.client.drop_database(other.name)
    [told] = stage.query(_LOST_FOR_GOOD)
    stage.command = _command(stage, tmp_path, top=strict)
    for word in ("run --full-resync --schema", "replSetResizeOplog"):
        assert word in told
    stage.command.once("--full-resync", "--schema", stage.schema)
    stage.judge(errors={"HistoryLost", "history_lost", "history_short", "generation_abandoned"})


# SPEC: R4, M3  FAULTS: 6
def test_one_table_that_is_set_aside_loses_its_history_alone(stage: Stage, tmp_path: Path) -> None:
    users, orders = stage.machine(), stage.machine("orders", seed=2)
    users.fill(100)
    orders.fill(100)
    frozen = {"orders": {"contract": {"new_columns": "freeze"}}}
    stage.command = _command(stage, tmp_path, tables=frozen)
    stage.command.once()
    with stage.running():
        orders.collection.update_one({"_id": min(orders.alive)}, {"$set": {"unheard": 1}})
        stage.eventually(lambda: "orders table_set_aside" in stage.query(_TOLD))
        orders.burst(30)
        orders.collection.delete_many({"_id": {"$in": sorted(orders.alive)[:20]}})
        # No faster than the stream, whose own place must not be lost.
        roll_over(stage, lambda: _keep_up(stage, users))
    stage.command = _command(stage, tmp_path)
    with stage.running() as process:
        stage.judge(process, errors={"table_set_aside", "history_lost", "history_short"})
    assert stage.query(_LOST) == ["orders"]


# SPEC: R4  FAULTS: 8
def test_an_idle_table_in_a_busy_database_keeps_its_place(stage: Stage, tmp_path: Path) -> None:
    busy, idle = stage.database["busy"], stage.machine("idle")
    idle.fill(20)
    stage.command = _command(stage, tmp_path, table_whitelist=["idle"])
    with stage.running() as process:
        stage.arrives("idle")
        before = stage.query(_MARKER)
        for number in range(3):
            busy.insert_one({"_id": number})
            roll_over(stage)
        forgotten = stage.client.admin.command("hello")["operationTime"].time
        stage.eventually(lambda: stage.query(_MARKER)[0] >= forgotten)
        assert stage.query(_MARKER) > before
        process.kill()
    busy.drop()
    idle.burst(20)
    stage.judge(errors={"history_short"})


def _keep_up(stage: Stage, machine: Machine) -> None:
    machine.step()
    stage.arrives(machine.collection.name)


def _change_and_forget(stage: Stage, *machines: Machine) -> None:
    """Changes of which the stream never hears, deletes among them."""
    for machine in machines:
        machine.burst(40)
    roll_over(stage)


def _command(stage: Stage, folder: Path, **options: Any) -> Command:
    return Command(
        folder, stage.config.source.connection_string.get_secret_value(), stage.warehouse, stage.schema, **options
    )
