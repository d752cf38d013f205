"""The process is killed around its commits, and what it leaves agrees with its marker: nothing is lost or repeated."""

from __future__ import annotations

import json
import signal
import subprocess
from collections import Counter
from pathlib import Path

import psutil
import pytest

from tests.faults.stage import Stage
from tests.faults.witness import Witness
from tests.fixtures.servers import MongoDatabase
from tests.pairs.oracle import differences
from tests.pairs.process import Command, eventually, stop

pytestmark = pytest.mark.servers

DELETED = "select primary_key from cartridge_warp_metadata.deletion_log where schema_name = %s"
MARKER = (
    "select (position, sequence)::text from cartridge_warp_metadata.sync_markers"
    " where schema_name = %s and marker_type = 'stream' order by table_name"
)
COUNTED = (
    "select sum(rows_written)::int || ' ' || sum(rows_deleted)::int"
    " from cartridge_warp_metadata.sync_runs where schema_name = %s and mode = 'stream'"
)


# SPEC: T7  FAULTS: 1
def test_around_a_commit_the_marker_decides(stage: Stage) -> None:
    stage.machine().fill(100)
    stage.command.once()
    witness, marker = Witness.of(stage.warehouse, stage.schema), stage.query(MARKER)
    change_fifty(stage, 0)
    for point in ("cut.read", "commit.locked", "commit.ready"):
        stage.dies(f"{point}=kill")
        assert (witness.seen(), stage.query(DELETED), stage.query(MARKER)) == ([], [], marker)
    for turn, point in enumerate(("commit.done", "cut.written")):
        stage.dies(f"{point}=kill")
        assert stage.query(MARKER) != marker
        stage.command.once()
        assert_fifty_each(stage, witness, turn + 1)
        change_fifty(stage, turn + 1)
    # The answer to the commit is lost, and the process lives.
    process = stage.start("run", "--once", failpoints="commit.done=error")
    assert process.wait(60) == 0, stage.command.log[-3000:]
    assert "interrupted, will try again" in stage.command.log
    assert_fifty_each(stage, witness, 3)
    stage.judge()


# SPEC: T7  FAULTS: 1
def test_under_load_nothing_is_lost_repeated_or_brought_back(stage: Stage) -> None:
    machine = stage.machine()
    machine.fill(200)
    stage.command.once()
    witness = Witness.of(stage.warehouse, stage.schema)
    with machine.running(300):
        for turn in range(3):
            with stage.running(failpoints="transaction.ready=kill%3;transaction.done=kill%3") as process:
                try:
                    assert process.wait(4) == -signal.SIGKILL
                except subprocess.TimeoutExpired:
                    stage.inject(f"kill -9 after 4 s, turn {turn}")
        with stage.running() as process:
            stage.eventually(lambda: len(witness.seen()) > 1000)
            process.kill()
    with stage.running() as process:
        stage.judge(process)
    assert witness.gone_back() == []


# SPEC: M3, T8  FAULTS: 1
def test_engine_processes_and_their_parent_are_killed_again_and_again(
    tmp_path: Path, mongo_db: MongoDatabase, warehouse: str
) -> None:
    names = {mongo_db.name: "users", f"{mongo_db.name}_more": "orders"}
    schemas = [{"name": name, "database": mongo_db.name, "include": [table]} for name, table in names.items()]
    command = Command(tmp_path, mongo_db.uri, warehouse, mongo_db.name, top={"schemas": schemas})
    documents = [mongo_db.database[table] for table in names.values()]

    def missing() -> list[str]:
        found = [differences(mongo_db.database, warehouse, name, table) for name, table in names.items()]
        return [line for lines in found for line in lines]

    for collection in documents:
        collection.insert_one({"_id": 0, "n": 0})
    process = command.start("run")
    try:
        eventually(missing)
        for turn in range(1, 3):
            for child in psutil.Process(process.pid).children():
                child.kill()
            if turn == 2:
                process.kill()
                process.wait()
                process = command.start("run")
            for collection in documents:
                collection.insert_one({"_id": turn, "n": turn})
            eventually(missing, 20)
        assert stop(process) == 0
    finally:
        process.kill()
        process.wait()
    lines = [json.loads(line) for line in command.log.splitlines() if line.startswith("{")]
    delays = [line["seconds"] for line in lines if line["event"] == "engine process ended, starting it again"]
    assert len(delays) >= 2
    assert max(delays) <= 2


def change_fifty(stage: Stage, turn: int) -> None:
    """Forty updates, five deletes and five inserts, each of another key."""
    users = stage.database["users"]
    users.update_many({"_id": {"$gte": "users-", "$lt": "users-000040"}}, {"$inc": {"step": 1}})
    users.delete_many({"_id": {"$in": [f"users-{50 + 5 * turn + number:06d}" for number in range(5)]}})
    users.insert_many([{"_id": f"new-{turn}-{number}", "life": 0, "step": turn} for number in range(5)])


def assert_fifty_each(stage: Stage, witness: Witness, turns: int) -> None:
    """All of so many times fifty changes were written once, and counted once."""
    seen = witness.seen()
    assert Counter(one.operation for one in seen) == {"update": 40 * turns, "delete": 5 * turns, "insert": 5 * turns}
    assert len({(one.key, one.step, one.operation) for one in seen}) == len(seen)
    assert witness.gone_back() == []
    assert len(stage.query(DELETED)) == 5 * turns
    assert stage.query(COUNTED) == [f"{45 * turns} {5 * turns}"]
