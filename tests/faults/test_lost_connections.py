"""Servers that go away under a running stream and come back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from tests.pairs.load import churn, fill
from tests.pairs.oracle import differences
from tests.pairs.process import Command, eventually, stop
from warp_resources.connectors.mongodb.embedded import EmbeddedMongod
from warp_resources.connectors.postgresql.embedded import EmbeddedPostgres

pytestmark = pytest.mark.servers


@pytest.fixture
def own_mongod() -> Iterator[EmbeddedMongod]:
    with EmbeddedMongod() as server:
        yield server


@pytest.fixture
def own_postgres() -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(settings={"shared_buffers": "64MB"}) as server:
        yield server


def test_the_destination_restarts(tmp_path: Path, mongo_uri: str, own_postgres: EmbeddedPostgres) -> None:
    # SPEC: R3  FAULTS: 18
    warehouse = own_postgres.uri()
    client: MongoClient[dict[str, Any]] = MongoClient(mongo_uri)
    with client:
        database = client["destination_restarts"]
        fill(database["users"], 200)
        process = Command(tmp_path, mongo_uri, warehouse, database.name).start("run")
        try:
            eventually(lambda: differences(database, warehouse, database.name, "users"))
            for round_number in range(3):
                churn(database["users"], 100, round_number)
                if round_number == 1:
                    own_postgres.kill()
                churn(database["users"], 100, 10 + round_number)
                own_postgres.restart()
                eventually(lambda: differences(database, warehouse, database.name, "users"))
            assert stop(process) == 0
        finally:
            process.kill()
            process.wait()
            client.drop_database(database)


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
