"""Drift that would break a table, on real servers, run as a user runs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest
from bson import Decimal128, Int64
from psycopg import sql

from tests.fixtures.servers import MongoDatabase
from tests.pairs.process import Command

pytestmark = pytest.mark.servers


@pytest.fixture
def command(tmp_path: Path, mongo_db: MongoDatabase, warehouse: str) -> Command:
    return Command(tmp_path, mongo_db.uri, warehouse, mongo_db.name)


def select(warehouse: str, query: str, schema: str, table: str = "users") -> list[tuple[Any, ...]]:
    with psycopg.connect(warehouse) as connection:
        return connection.execute(sql.SQL(query).format(table=sql.Identifier(schema, table))).fetchall()


def documents(warehouse: str, schema: str) -> dict[Any, dict[str, Any]]:
    """Each row's fields by name, from its columns and from the overflow column."""
    found = select(warehouse, "select _id, to_jsonb(t) - '_warp_overflow', _warp_overflow from {table} as t", schema)
    return {
        key: {name: value for name, value in row.items() if value is not None and not name.startswith("_")}
        | (overflow or {})
        for key, row, overflow in found
    }


# SPEC: E4, E9, E10; FAULTS: 15
def test_thousands_of_fields_arrive_in_the_run_that_brings_them(
    command: Command, mongo_db: MongoDatabase, warehouse: str
) -> None:
    users = mongo_db.database["users"]
    users.insert_one({"_id": 1, **{f"n{n}": n for n in range(2_000)}})
    command.once()
    users.insert_one({"_id": 2, **{f"s{n}": f"short {n}" for n in range(2_000)}})
    users.insert_one({"_id": 3, **{f"late{n}": [n, {"deep": None}] for n in range(500)}})
    users.update_one({"_id": 1}, {"$set": {"n1999": "now text"}, "$unset": {"n1998": 1}})
    command.once()
    expected = {document.pop("_id"): document for document in users.find()}
    assert documents(warehouse, mongo_db.name) == expected
    command.once("--full-resync")
    assert documents(warehouse, mongo_db.name) == expected
    with psycopg.connect(warehouse) as connection:
        [[letters]] = connection.execute("select count(*) from cartridge_warp_metadata.dead_letters").fetchall()
    assert letters == 0


# SPEC: E11
def test_doubles_and_decimals_that_are_written_alike_stay_two_keys(
    command: Command, mongo_db: MongoDatabase, warehouse: str
) -> None:
    users = mongo_db.database["users"]
    doubles: list[Any] = [0.1, 0.5, 2.0**62, 1e22, 2.0**-30]
    users.insert_many([{"_id": key, "n": number} for number, key in enumerate(doubles)])
    command.once()
    decimals = ["0.1", "4.611686018427388E+18", "0.30", "1E+23", "9.313225746154785E-10"]
    users.insert_many([{"_id": Decimal128(key), "n": 10 + number} for number, key in enumerate(decimals)])
    users.insert_one({"_id": Int64(2**62 + 1), "n": 20})
    users.update_one({"_id": 0.1}, {"$set": {"n": 100}})
    users.delete_one({"_id": Decimal128("0.50")})
    command.once()
    query = "select _id, n from {table} order by n"
    expected = sorted(document["n"] for document in users.find())
    found = select(warehouse, query, mongo_db.name)
    assert [n for _, n in found] == expected
    assert dict(found)["0.1"] == 100
    assert dict(found)['{"$numberDecimal": "0.1"}'] == 10
    users.delete_many({"_id": {"$in": [Decimal128("0.1"), 2.0**62, Decimal128("1E+22"), 2.0**-30]}})
    command.once()
    assert [n for _, n in select(warehouse, query, mongo_db.name)] == sorted(its["n"] for its in users.find())
    command.once("--full-resync")
    assert [n for _, n in select(warehouse, query, mongo_db.name)] == sorted(its["n"] for its in users.find())
