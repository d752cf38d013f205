"""A stop is asked for: while it starts, under load, while it hangs, while a server does not answer."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from psycopg import sql
from pymongo import MongoClient

from tests.faults.stage import Stage
from tests.fixtures.servers import MongoDatabase
from tests.pairs.load import churn, fill
from tests.pairs.oracle import differences
from tests.pairs.process import Command, eventually, stop
from warp_resources.connectors.mongodb.embedded import EmbeddedMongod

pytestmark = pytest.mark.servers

WRITTEN = """
select sum(rows_written)::int from cartridge_warp_metadata.sync_runs
where schema_name = %s and table_name <> '' group by run_id order by min(started_at)
"""


# SPEC: M6  FAULTS: 4
def test_at_any_moment_of_its_start(stage: Stage) -> None:
    machine = stage.machine()
    machine.fill(500)
    rnd = random.Random(4)
    numbers = [signal.SIGTERM, signal.SIGINT]
    for turn in range(6):
        stage.inject(f"{numbers[turn % 2].name} after {turn * 0.2:.1f} s")
        process = stage.start()
        try:
            # From here on it is the command that answers, and no longer the interpreter that starts.
            eventually(partial(_handles, process.pid, signal.SIGTERM))
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(turn * 0.2 + rnd.random() * 0.2)
            process.send_signal(numbers[turn % 2])
            assert process.wait(10) == 0, stage.command.log[-3000:]
        finally:
            process.kill()
            process.wait()
    stage.judge()


# SPEC: M6  FAULTS: 4
def test_under_load(stage: Stage) -> None:
    machine = stage.machine()
    machine.fill(500)
    stage.command.once()
    with machine.running(300), stage.running() as process:
        stage.eventually(lambda: [rows for rows in stage.query(WRITTEN)[1:] if rows > 50] != [])
        stage.inject("SIGTERM under load")
        assert stop(process) == 0
    stage.judge()


# SPEC: M6  FAULTS: 3 4
def test_while_its_renewals_hang(stage: Stage) -> None:
    stage.machine().fill(50)
    with stage.running(failpoints="lease.renewing=sleep:3600") as process:
        stage.eventually(lambda: '"point": "lease.renewing"' in stage.command.log)
        assert stop(process) == 0
    stage.judge()


def test_while_another_session_locks_the_table(tmp_path: Path, mongo_db: MongoDatabase, warehouse: str) -> None:
    # SPEC: M6  FAULTS: 4
    users = mongo_db.database["users"]
    fill(users, 20)
    command = Command(tmp_path, mongo_db.uri, warehouse, mongo_db.name)
    process = command.start("run")
    compared: Callable[[], list[str]] = lambda: differences(mongo_db.database, warehouse, mongo_db.name, "users")  # noqa: E731
    try:
        eventually(compared)
        with psycopg.connect(warehouse) as other:
            other.execute(sql.SQL("lock table {}").format(sql.Identifier(mongo_db.name, "users")))
            churn(users, 20, seed=1)
            eventually(lambda: _is_waiting(warehouse))
            assert stop(process) == 0
        command.once()
        assert compared() == []
    finally:
        process.kill()
        process.wait()


def test_while_mongod_is_frozen(tmp_path: Path, warehouse: str) -> None:
    # SPEC: M6  FAULTS: 22
    with EmbeddedMongod() as server, MongoClient[dict[str, Any]](server.uri) as client:
        fill(client["shop"]["users"], 20)
        process = Command(tmp_path, server.uri, warehouse, "shop").start("run")
        frozen = server.members[0].pid
        assert frozen is not None
        try:
            eventually(lambda: differences(client["shop"], warehouse, "shop", "users"))
            os.kill(frozen, signal.SIGSTOP)
            assert stop(process) == 0
        finally:
            os.kill(frozen, signal.SIGCONT)
            process.kill()
            process.wait()


def test_a_resync_while_mongod_is_frozen(tmp_path: Path, warehouse: str) -> None:
    # SPEC: M6, M5, L3  FAULTS: 22
    with EmbeddedMongod() as server, MongoClient[dict[str, Any]](server.uri) as client:
        fill(client["shop"]["users"], 20)
        command = Command(tmp_path, server.uri, warehouse, "shop")
        command.once()
        frozen = server.members[0]
        assert frozen.pid is not None
        os.kill(frozen.pid, signal.SIGSTOP)
        process = command.start("resync", "--table", "shop.users")
        try:
            # The kernel accepts for the frozen process: from then on the command waits for its answer.
            eventually(lambda: _is_connected(process.pid, frozen.port))
            assert stop(process) == 1
        finally:
            os.kill(frozen.pid, signal.SIGCONT)
            process.kill()
            process.wait()


def _is_connected(pid: int, port: int) -> bool:
    return any(its.raddr and its.raddr.port == port for its in psutil.Process(pid).net_connections("tcp"))


def _is_waiting(warehouse: str) -> bool:
    with psycopg.connect(warehouse) as connection:
        found = connection.execute(
            "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
        ).fetchone()
    return bool(found and found[0])


def _handles(pid: int, number: signal.Signals) -> bool:
    """Whether a process has a handler for a signal."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    caught = next(line.split()[1] for line in lines if line.startswith("SigCgt"))
    return bool(int(caught, 16) >> (number - 1) & 1)
