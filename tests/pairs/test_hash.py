"""Strategy ``hash`` on real servers: what a comparison of whole tables finds, run as a user runs it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from bson import Binary, Decimal128, Int64, ObjectId, Regex
from psycopg import sql

from tests.fixtures.servers import MongoDatabase
from tests.pairs.load import churn, fill
from tests.pairs.oracle import differences
from tests.pairs.process import Command

pytestmark = pytest.mark.servers


def sequences(warehouse: str, schema: str, table: str) -> dict[str, int]:
    query = sql.SQL("select _id::text, _warp_sequence from {}").format(sql.Identifier(schema, table))
    with psycopg.connect(warehouse) as connection:
        return dict(connection.execute(query).fetchall())


def test_a_table_without_a_marker_is_kept_equal(tmp_path: Path, mongo_db: MongoDatabase, warehouse: str) -> None:
    # SPEC: X4 X1 E2 E8 E11
    command = Command(
        tmp_path,
        mongo_db.uri,
        warehouse,
        mongo_db.name,
        mode="batch",
        change_detection={"strategy": "hash"},
        full_load_batch_size=500,
    )
    users, odd = mongo_db.database["users"], mongo_db.database["odd"]
    fill(users, 1500)
    odd.insert_many(
        [
            {"_id": 1, "d": Decimal128("1.10"), "at": datetime(2024, 5, 1, tzinfo=UTC)},
            {"_id": "1", "nested": {"a": [1, 2.5, None, Decimal128("1.0")]}, "b": Binary(b"\0\1", 0)},
            {"_id": ObjectId(), "i": Int64(2**53 + 1), "f": 0.1},
            {"_id": Decimal128("0.1"), "r": Regex("a.*", "i"), "t": "\u0000"},
            {"_id": {"a": 1}, "gone": True},
        ]
    )
    command.once()
    command.once()
    before = {name: sequences(warehouse, mongo_db.name, name) for name in ("users", "odd")}
    command.once()
    assert {name: sequences(warehouse, mongo_db.name, name) for name in before} == before

    churn(users, 400, seed=3)
    odd.update_one({"_id": 1}, {"$set": {"d": Decimal128("1.1")}})
    odd.delete_many({"_id": {"$in": ["1", {"a": 1}, Decimal128("0.1")]}})
    odd.insert_one({"_id": 2, "d": "text now"})
    command.once()
    assert differences(mongo_db.database, warehouse, mongo_db.name, "users") == []
    after = sequences(warehouse, mongo_db.name, "odd")
    assert len(after) == 3
    with psycopg.connect(warehouse) as connection:
        stored = sql.Identifier(mongo_db.name, "odd")
        found = connection.execute(sql.SQL("select d from {} where _id in ('1', '2') order by _id").format(stored))
        assert found.fetchall() == [("1.1",), ("text now",)]
        causes = connection.execute(
            "select distinct table_name, cause from cartridge_warp_metadata.deletion_log order by 1"
        )
        assert causes.fetchall() == [("odd", "hash"), ("users", "hash")]
    unchanged = sequences(warehouse, mongo_db.name, "users").items() & before["users"].items()
    assert len(unchanged) > 900
