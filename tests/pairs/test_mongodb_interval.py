"""A process that is killed while it waits to write again has lost nothing."""

from __future__ import annotations

import threading
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from tests.fixtures.servers import MongoDatabase
from tests.pairs.process import Command, eventually, stop

pytestmark = pytest.mark.servers

MOMENT = 0.02


def test_kills_between_rare_writes_lose_nothing(mongo_db: MongoDatabase, warehouse: str, tmp_path: Path) -> None:
    # SPEC: C3 T7  FAULTS: 1
    client, name, uri = mongo_db
    command = Command(tmp_path, uri, warehouse, name, top={"destination": {"min_interval": "1500ms"}})
    users = client[name]["users"]
    users.insert_one({"_id": -1})
    command.once()
    before = sequence(warehouse, name)
    for life in range(2):
        process = command.start("run")
        for number in range(life * 100, life * 100 + 100):
            users.insert_one({"_id": number})
            threading.Event().wait(MOMENT)
        process.kill()
        process.wait()
    process = command.start("run")
    eventually(lambda: ids(warehouse, name) == [*range(-1, 200)])
    assert sequence(warehouse, name) - before <= 20
    assert stop(process) == 0


def ids(warehouse: str, schema: str) -> list[int]:
    with psycopg.connect(warehouse) as connection:
        statement = sql.SQL("select _id from {} order by 1").format(sql.Identifier(schema, "users"))
        return [row[0] for row in connection.execute(statement)]


def sequence(warehouse: str, schema: str) -> int:
    with psycopg.connect(warehouse) as connection:
        query = "select sequence from cartridge_warp_metadata.sync_markers where schema_name = %s and table_name = ''"
        (found,) = connection.execute(query, [schema]).fetchall()
        return int(found[0])
