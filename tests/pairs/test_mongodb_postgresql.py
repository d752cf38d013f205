"""The main job on real servers, run as a user runs it."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from tests.fixtures.servers import MongoDatabase
from tests.pairs.load import churn, fill
from tests.pairs.oracle import differences
from tests.pairs.process import Command, eventually, stop

pytestmark = pytest.mark.servers


@pytest.fixture
def command(tmp_path: Path, mongo_db: MongoDatabase, warehouse: str) -> Command:
    return Command(tmp_path, mongo_db.uri, warehouse, mongo_db.name)


@pytest.fixture
def running(command: Command) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts ``run``; whatever still runs at the end is killed."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str) -> subprocess.Popen[bytes]:
        started.append(command.start("run", *arguments))
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()


def compare(mongo_db: MongoDatabase, warehouse: str, table: str = "users") -> list[str]:
    return differences(mongo_db.database, warehouse, mongo_db.name, table)


def sequences(warehouse: str, schema: str, table: str = "users") -> dict[str, int]:
    query = sql.SQL("select _id::text, _warp_sequence from {}").format(sql.Identifier(schema, table))
    with psycopg.connect(warehouse) as connection:
        return dict(connection.execute(query).fetchall())


def spoil(warehouse: str, schema: str, table: str = "users") -> None:
    """A row that the source never had, and a wrong value in one that it has."""
    stored = sql.Identifier(schema, table)
    with psycopg.connect(warehouse) as connection:
        connection.execute(
            sql.SQL("insert into {} (_id, _warp_sequence, _warp_synced_at) values ('ghost', 1, now())").format(stored)
        )
        wrong = sql.SQL("update {} set n = -1 where _id = (select min(_id) from {} where _id <> 'ghost')")
        connection.execute(wrong.format(stored, stored))


def test_once_then_changes_then_nothing(command: Command, mongo_db: MongoDatabase, warehouse: str) -> None:
    # SPEC: L2 M1 M2 E1 E4 E5 X1 T7
    users = mongo_db.database["users"]
    fill(users, 1500)
    command.once()
    assert compare(mongo_db, warehouse) == []
    before = sequences(warehouse, mongo_db.name)
    churn(users, 400, seed=2)
    command.once()
    assert compare(mongo_db, warehouse) == []
    after = sequences(warehouse, mongo_db.name)
    assert sum(after.get(key) == sequence for key, sequence in before.items()) > 900
    command.once()
    assert sequences(warehouse, mongo_db.name) == after


def test_a_full_resync_mends_what_was_spoiled_while_writes_go_on(
    command: Command, running: Callable[..., subprocess.Popen[bytes]], mongo_db: MongoDatabase, warehouse: str
) -> None:
    # SPEC: M5
    users = mongo_db.database["users"]
    fill(users, 3000)
    command.once()
    spoil(warehouse, mongo_db.name)
    assert compare(mongo_db, warehouse)
    process = running("--full-resync")
    for seed in range(10):
        churn(users, 100, seed)
    eventually(lambda: compare(mongo_db, warehouse))
    assert stop(process) == 0


def test_kill_9_at_random_moments(
    running: Callable[..., subprocess.Popen[bytes]], mongo_db: MongoDatabase, warehouse: str
) -> None:
    # SPEC: T7 M6  FAULTS: 1 2 4
    users = mongo_db.database["users"]
    fill(users, 3000)
    rnd = random.Random(7)
    for number in range(6):
        process = running()
        until = time.monotonic() + rnd.uniform(0.7, 2.5)
        while time.monotonic() < until:
            churn(users, 100, rnd.randrange(10**9))
        process.kill()
        process.wait()
        assert number >= 0
    process = running()
    eventually(lambda: compare(mongo_db, warehouse))
    assert stop(process) == 0


def test_a_second_process_stands_by_and_takes_over(
    command: Command, running: Callable[..., subprocess.Popen[bytes]], mongo_db: MongoDatabase, warehouse: str
) -> None:
    # SPEC: T8 L2  FAULTS: 3
    users = mongo_db.database["users"]
    fill(users, 50)
    first = running()
    eventually(lambda: compare(mongo_db, warehouse))
    second = running()
    eventually(lambda: "standing by" in command.log)
    first.kill()
    first.wait()
    churn(users, 100, seed=3)
    eventually(lambda: compare(mongo_db, warehouse))
    assert stop(second) == 0


def test_a_paused_writer_cannot_commit_after_another_took_over(
    running: Callable[..., subprocess.Popen[bytes]], mongo_db: MongoDatabase, warehouse: str
) -> None:
    # SPEC: T8  FAULTS: 3
    users = mongo_db.database["users"]
    fill(users, 50)
    paused = running()
    eventually(lambda: compare(mongo_db, warehouse))
    paused.send_signal(signal.SIGSTOP)
    second = running()
    churn(users, 200, seed=4)
    eventually(lambda: compare(mongo_db, warehouse))
    paused.send_signal(signal.SIGCONT)
    churn(users, 200, seed=5)
    eventually(lambda: compare(mongo_db, warehouse))
    assert paused.poll() is None, "the fenced process stands by"
    assert stop(second) == 0
    churn(users, 50, seed=6)
    eventually(lambda: compare(mongo_db, warehouse))
    assert stop(paused) == 0


def test_a_batch_schema_by_its_marker(tmp_path: Path, mongo_db: MongoDatabase, warehouse: str) -> None:
    # SPEC: M2  FAULTS: 25
    accounts = mongo_db.database["accounts"]
    start = datetime(2024, 5, 1, tzinfo=UTC)
    accounts.insert_many([{"_id": n, "n": n, "updated_at": start + timedelta(seconds=n)} for n in range(1200)])
    accounts.insert_many([{"_id": -n, "n": n, "updated_at": None} for n in (1, 2)])
    accounts.insert_many([{"_id": 5000, "n": 0}, {"_id": 5001, "updated_at": "yesterday"}])
    batch = Command(tmp_path, mongo_db.uri, warehouse, mongo_db.name, mode="batch", schedule="*/5 * * * *")
    batch.once()
    ids = sequences(warehouse, mongo_db.name, "accounts")
    assert len(ids) == 1204
    last = start + timedelta(seconds=1199)
    accounts.update_one({"_id": 7}, {"$set": {"n": -7, "updated_at": last}})
    accounts.insert_one({"_id": 6000, "n": 1, "updated_at": last - timedelta(seconds=100)})
    accounts.insert_one({"_id": 6001, "n": 1, "updated_at": None})
    accounts.update_one({"_id": -1}, {"$set": {"n": 100}})
    accounts.delete_one({"_id": 9})
    batch.once()
    now = sequences(warehouse, mongo_db.name, "accounts")
    assert {key for key in now if now[key] != ids.get(key)} == {"7", "6000", "6001", "-1"}
    assert "9" in now
