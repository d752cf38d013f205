"""Soft deletes on real servers: a stream, a resync beside it, and the log that both keep."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from tests.fixtures.servers import MongoDatabase
from tests.pairs.process import Command

pytestmark = pytest.mark.servers


def test_what_the_source_deletes_is_flagged(tmp_path: Path, mongo_db: MongoDatabase, warehouse: str) -> None:
    # SPEC: X2 T6 M2 M5
    tables = {"users": {"soft_delete_column": "gone"}}
    command = Command(tmp_path, mongo_db.uri, warehouse, mongo_db.name, deletion_strategy="soft", tables=tables)
    users = mongo_db.database["users"]
    users.insert_many([{"_id": number, "gone": f"user {number}"} for number in range(300)])
    command.once()
    users.delete_many({"_id": {"$lt": 100}})
    users.insert_many([{"_id": number, "gone": "back"} for number in range(10)])
    command.once()
    found = _rows(warehouse, mongo_db.name)
    assert {number for number, (_, gone) in found.items() if gone} == set(range(10, 100))
    assert found[5][0] == "back"
    assert found[50][0] == "user 50", "the values stay"

    _insert_ghost(warehouse, mongo_db.name)
    command.once("--full-resync")
    found = _rows(warehouse, mongo_db.name)
    assert {number for number, (_, gone) in found.items() if gone} == {*range(10, 100), 1000}
    with psycopg.connect(warehouse) as connection:
        log = connection.execute(
            "select cause, strategy, primary_key from cartridge_warp_metadata.deletion_log"
        ).fetchall()
    assert {strategy for _, strategy, _ in log} == {"soft"}
    assert [key for cause, _, key in log if cause == "stale"] == ['{"_id": 1000}']
    # Those that came back may have gone in a batch of their own.
    still_gone = [key for cause, _, key in log if cause == "source" and int(key[8:-1]) >= 10]
    assert sorted(int(key[8:-1]) for key in still_gone) == list(range(10, 100))


def _rows(warehouse: str, schema: str) -> dict[int, tuple[str, bool]]:
    [stored] = _columns(warehouse, schema)
    query = sql.SQL("select _id, {}, gone from {}").format(sql.Identifier(stored), sql.Identifier(schema, "users"))
    with psycopg.connect(warehouse) as connection:
        return {number: (text, gone) for number, text, gone in connection.execute(query).fetchall()}


def _columns(warehouse: str, schema: str) -> list[str]:
    """What the source's field ``gone`` is stored as."""
    query = "select stored_name from cartridge_warp_metadata.name_map where schema_name = %s and column_name = 'gone'"
    with psycopg.connect(warehouse) as connection:
        return [name for (name,) in connection.execute(query, [schema]).fetchall()]


def _insert_ghost(warehouse: str, schema: str) -> None:
    """A row that the source never had."""
    query = sql.SQL("insert into {} (_id, _warp_sequence, _warp_synced_at) values (1000, 1, now())")
    with psycopg.connect(warehouse) as connection:
        connection.execute(query.format(sql.Identifier(schema, "users")))
