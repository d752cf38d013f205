"""Servers that go away under a running stream and come back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pymongo import MongoClient

from tests.faults.stage import Stage, staged
from tests.fixtures.servers import MongoDatabase
from tests.pairs.load import churn, fill
from tests.pairs.oracle import differences
from tests.pairs.process import Command, eventually, stop
from warp_resources.connectors.mongodb.embedded import EmbeddedMongod
from warp_resources.connectors.postgresql.embedded import EmbeddedPostgres

pytestmark = pytest.mark.servers

ROUNDS, BETWEEN_SECONDS = 12, 0.4
ENDED = """
select pg_terminate_backend(pid) from pg_stat_activity
where datname = %s and backend_type = 'client backend' and pid <> pg_backend_pid()
"""


@pytest.fixture
def own_mongod() -> Iterator[EmbeddedMongod]:
    with EmbeddedMongod() as server:
        yield server


@pytest.fixture
def own_postgres() -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(settings={"shared_buffers": "64MB"}) as server:
        yield server


@pytest.fixture
def stage(tmp_path: Path, mongo_db: MongoDatabase, warehouse: str) -> Stage:
    return staged(tmp_path, mongo_db.client, mongo_db.uri, warehouse, mongo_db.name)


# SPEC: T7, R3  FAULTS: 18
def test_the_destination_dies_inside_a_transaction(
    tmp_path: Path, mongo_db: MongoDatabase, own_postgres: EmbeddedPostgres
) -> None:
    stage = staged(tmp_path, mongo_db.client, mongo_db.uri, own_postgres.uri(), mongo_db.name)
    machine = stage.machine()
    machine.fill(200)
    with stage.running(failpoints="commit.ready=sleep:3@6") as process:
        with machine.running(per_second=100):
            stage.eventually(lambda: '"failpoint"' in stage.command.log)
            own_postgres.kill()
            own_postgres.restart()
            stage.eventually(lambda: "interrupted" in stage.command.log)
            own_postgres.restart()
        stage.judge(process)


# SPEC: R3  FAULTS: 18, 22
def test_the_destination_ends_all_connections_again_and_again(stage: Stage) -> None:
    machine = stage.machine()
    machine.fill(200)
    database = stage.warehouse.rsplit("/", 1)[1]
    with psycopg.connect(stage.warehouse, autocommit=True) as connection:
        connection.execute(f"alter database {database} set idle_session_timeout = '300ms'".encode())
    with stage.running() as process:
        stage.arrives()
        with machine.running(per_second=100):
            for _ in range(ROUNDS):
                assert process.poll() is None, stage.command.log[-3000:]
                stage.query(ENDED, database)
                time.sleep(BETWEEN_SECONDS)
        stage.judge(process)
    assert "idle session" not in stage.command.log


def test_the_source_is_killed_and_comes_back(tmp_path: Path, own_mongod: EmbeddedMongod, warehouse: str) -> None:
    # SPEC: R3  FAULTS: 5
    client: MongoClient[dict[str, Any]] = MongoClient(own_mongod.uri, retryWrites=True)
    with client:
        database = client["shop"]
        fill(database["users"], 200)
        process = Command(tmp_path, own_mongod.uri, warehouse, "shop").start("run")
        try:
            eventually(lambda: differences(database, warehouse, "shop", "users"))
            for round_number in range(2):
                churn(database["users"], 100, round_number)
                own_mongod.kill_member(0)
                own_mongod.start_member(0)
                own_mongod.wait_for_primary()
                churn(database["users"], 100, 10 + round_number)
                eventually(lambda: differences(database, warehouse, "shop", "users"))
            assert stop(process) == 0
        finally:
            process.kill()
            process.wait()
