"""Constraints of the user's own on the tables that MongoDB is replicated into."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest
from bson import json_util

from tests.fixtures.servers import MongoDatabase
from tests.pairs.process import Command

pytestmark = pytest.mark.servers

RULES = """
set search_path to {schema};
alter table users add constraint one_email unique (email), add constraint adult check (age >= 18);
alter table orders add constraint of_user foreign key ("user") references users;
"""


def select(warehouse: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(warehouse, autocommit=True) as connection:
        return connection.execute(statement.encode()).fetchall()


def test_what_constraints_refuse_stays_behind_alone(tmp_path: Path, mongo_db: MongoDatabase, warehouse: str) -> None:
    # SPEC: R1, R2, E7  FAULTS: 14, 20, 21
    command = Command(tmp_path, mongo_db.uri, warehouse, mongo_db.name)
    users, orders = mongo_db.database["users"], mongo_db.database["orders"]
    users.insert_many([{"_id": n, "email": f"{n}@example.com", "age": 30} for n in range(200)])
    orders.insert_one({"_id": 1, "user": 1})
    command.once()
    with psycopg.connect(warehouse) as connection:
        connection.execute(RULES.format(schema=mongo_db.name).encode())
    users.update_one({"_id": 1}, {"$set": {"email": "kept"}})
    users.update_one({"_id": 2}, {"$set": {"email": "1@example.com"}})
    users.update_one({"_id": 1}, {"$set": {"email": "2@example.com"}})
    orders.insert_many([{"_id": 2, "user": 1000}, {"_id": 3, "user": 2000}])
    users.insert_many([{"_id": 1000, "email": "new", "age": 18}, {"_id": 1001, "email": "young", "age": 17}])
    command.once()
    schema = mongo_db.name
    found = select(warehouse, f"select _id, email from {schema}.users where _id in (1, 2, 1000, 1001) order by 1")
    assert found == [(1, "2@example.com"), (2, "1@example.com"), (1000, "new")]
    assert select(warehouse, f"select _id from {schema}.orders order by 1") == [(1,), (2,)]
    pending = (
        "select table_name, reason, record from cartridge_warp_metadata.dead_letters"
        " where status = 'pending' order by 1"
    )
    letters = select(warehouse, pending)
    assert [(table, reason, json_util.loads(record)) for table, reason, record in letters] == [
        ("orders", "foreign_key", {"_id": 3, "user": 2000}),
        ("users", "check", {"_id": 1001, "email": "young", "age": 17}),
    ]
    # Now all of a table is refused: it stops as a whole, and the others go on.
    users.update_many({}, {"$set": {"age": 1}})
    orders.insert_one({"_id": 4, "user": 2})
    command.start("run", "--once").wait(60)
    assert select(warehouse, f"select _id from {schema}.orders order by 1") == [(1,), (2,), (4,)], command.log[-3000:]
    assert len(select(warehouse, pending)) == 2
    [(reason,)] = select(
        warehouse, "select aside_reason from cartridge_warp_metadata.sync_markers where aside_reason is not null"
    )
    assert "adult" in reason
    # The cause is mended.
    with psycopg.connect(warehouse) as connection:
        connection.execute(f"alter table {schema}.users drop constraint adult".encode())
    command.once()
    assert select(warehouse, f"select count(*) from {schema}.users where age = 1") == [(202,)]
    assert [table for table, *_ in select(warehouse, pending)] == ["orders"]
