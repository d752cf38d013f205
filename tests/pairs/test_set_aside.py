"""A table that PostgreSQL refuses is set aside, while the others of its stream go on, on real servers."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.fixtures.servers import MongoDatabase
from tests.pairs.load import churn, fill
from tests.pairs.oracle import differences
from tests.pairs.process import Command, eventually, stop

pytestmark = pytest.mark.servers

TABLES = ("users", "orders", "items")


class Warehouse:
    """Both sides of a replication of three collections."""

    def __init__(self, folder: Path, mongo_db: MongoDatabase, uri: str, **schema: Any) -> None:
        self.mongo, self.uri, self.schema = mongo_db, uri, mongo_db.name
        self.command = Command(folder, mongo_db.uri, uri, mongo_db.name, **schema)
        for table in TABLES:
            fill(mongo_db.database[table], 60)

    def differences(self, *tables: str) -> list[str]:
        names = tables or TABLES
        return [found for name in names for found in differences(self.mongo.database, self.uri, self.schema, name)]

    def churn(self, seed: int) -> None:
        for table in TABLES:
            churn(self.mongo.database[table], 60, seed=seed)

    def run(self, statement: str, *names: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.uri, autocommit=True) as connection:
            cursor = connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
            return cursor.fetchall() if cursor.description else []

    def aside(self) -> list[str]:
        rows = self.run("select table_name from cartridge_warp_metadata.sync_markers where aside_position is not null")
        return sorted(row[0] for row in rows)

    def told(self) -> list[str]:
        query = "select table_name from cartridge_warp_metadata.error_log where error_type = 'table_set_aside'"
        return [row[0] for row in self.run(query)]

    @contextmanager
    def running(self) -> Iterator[Any]:
        process = self.command.start("run")
        try:
            yield process
        finally:
            if process.poll() is None:
                assert stop(process) == 0


def poison(warehouse: Warehouse, table: str) -> None:
    """What no row is to blame for: a column is gone."""
    warehouse.run("alter table {}.{} rename column n to mislaid", warehouse.schema, table)


def mend(warehouse: Warehouse, table: str) -> None:
    warehouse.run("alter table {}.{} rename column mislaid to n", warehouse.schema, table)


def test_one_table_of_three_is_set_aside_killed_with_and_catches_up(
    tmp_path: Path, mongo_db: MongoDatabase, warehouse: str
) -> None:
    # SPEC: M3 T7 R1  FAULTS: 2 14
    depot = Warehouse(tmp_path, mongo_db, warehouse)
    depot.command.once()
    poison(depot, "orders")
    with depot.running() as process:
        depot.churn(seed=1)
        eventually(lambda: depot.differences("users", "items"))
        eventually(lambda: depot.aside() == ["orders"])
        depot.churn(seed=2)
        eventually(lambda: depot.differences("users", "items"))
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    once = depot.command.start("run", "--once")
    assert once.wait(120) == 1
    assert f"{depot.schema}.orders" in depot.command.log
    assert depot.told() == ["orders"]
    with depot.running():
        depot.churn(seed=3)
        mend(depot, "orders")
        eventually(lambda: depot.aside() == [])
        depot.churn(seed=4)
        eventually(depot.differences)
    depot.command.once()


@pytest.mark.parametrize(
    ("lock", "change"),
    [("access share", {"$set": {"added_later": 1}}), ("share", {"$inc": {"step": 1}})],
    ids=["who reads it while it is altered", "who makes an index on it while it is written"],
)
def test_a_lock_on_one_table_does_not_hold_the_others(
    tmp_path: Path, mongo_db: MongoDatabase, warehouse: str, lock: str, change: dict[str, Any]
) -> None:
    # SPEC: E10, M3  FAULTS: 17
    depot = Warehouse(tmp_path, mongo_db, warehouse)
    depot.command.once()
    with depot.running(), psycopg.connect(warehouse) as blocking:
        place = sql.Identifier(depot.schema, "orders")
        blocking.execute(sql.SQL("lock table {} in {} mode").format(place, sql.SQL(lock)))
        depot.mongo.database["orders"].update_many({}, change)
        depot.churn(seed=5)
        eventually(lambda: depot.differences("users", "items"))
        eventually(lambda: depot.aside() == ["orders"])
        blocking.rollback()
        eventually(lambda: depot.aside() == [])
        eventually(depot.differences)


def test_a_table_without_a_grant_is_read_whole_once_it_has_it(
    tmp_path: Path, mongo_db: MongoDatabase, warehouse: str
) -> None:
    # SPEC: M3  a table of somebody else's stands in the way of the first load
    depot = Warehouse(tmp_path, mongo_db, warehouse)
    depot.run("create schema {}", depot.schema)
    depot.run("create table {}.{} (x integer)", depot.schema, "orders")
    assert depot.command.start("run", "--once").wait(120) == 1
    assert depot.differences("users", "items") == []
    assert "did not make" in depot.command.log
    depot.run("drop table {}.{}", depot.schema, "orders")
    depot.churn(seed=6)
    depot.command.once()
    assert depot.differences() == []


def test_a_new_collection_is_not_admitted_and_a_dropped_one_is_followed(
    tmp_path: Path, mongo_db: MongoDatabase, warehouse: str
) -> None:
    # SPEC: X3, 2 contract.new_tables
    depot = Warehouse(tmp_path, mongo_db, warehouse, contract={"new_tables": "freeze"}, on_source_change="follow")
    depot.command.once()
    fill(mongo_db.database["late"], 5)
    mongo_db.database["orders"].insert_one({"n": 1})
    mongo_db.database["orders"].drop()
    mongo_db.database["items"].rename("late_items")
    churn(mongo_db.database["users"], 20, seed=7)
    depot.command.once()
    assert depot.differences("users") == []
    assert depot.run("select count(*) from {}.{}", depot.schema, "orders") == [(0,)]
    assert depot.run("select count(*) from {}.{}", depot.schema, "items") == [(0,)]
    assert depot.aside() == ["late", "late_items"]
    assert sorted(depot.told()) == ["late", "late_items"]
    [(deleted,)] = depot.run("select count(*) from cartridge_warp_metadata.deletion_log where table_name = 'orders'")
    assert deleted == 60
