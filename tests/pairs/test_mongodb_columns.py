"""Column actions on real servers: nothing of a hidden value is anywhere in the destination or in what is logged."""

from __future__ import annotations

import hashlib
import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import bson
import psycopg
import pytest
from bson import Decimal128
from bson.raw_bson import RawBSONDocument
from psycopg import sql

from tests.fixtures.servers import MongoDatabase
from tests.pairs.process import WARP, Command, eventually, stop

pytestmark = pytest.mark.servers

SECRET, NUMBER = "s3cr3tvalue", 918273645546372819
RULES = """
import pyarrow as pa
import pyarrow.compute as pc


def clean(batch: pa.RecordBatch) -> pa.RecordBatch:
    if "mail" not in batch.schema.names:
        return batch
    return batch.set_column(batch.schema.get_field_index("mail"), "mail", pc.utf8_lower(batch.column("mail")))
"""
COLUMNS = {
    "ssn": {"action": "hash", "rename": "ssn_hash"},
    "note": {"action": "drop"},
    "pin": {"action": "mask"},
    "n": {"type": "int"},
    "price": {"type": "decimal(10,2)"},
}


def hidden(key: int, **more: Any) -> dict[str, Any]:
    return {"_id": key, "ssn": SECRET, "note": {"a": [SECRET, NUMBER]}, "pin": NUMBER, "mail": f"U{key}@X.ORG", **more}


def documents(first: int) -> list[dict[str, Any]]:
    """Plain ones and such as end up as dead letters: of values, and (raw) of rows."""
    return [
        hidden(first, n=1, price=1.5),
        hidden(first + 1, n="no number", price=Decimal128("1.005")),
        hidden(first + 2, n={"nested": 1}, name="with\0nul"),
        hidden(first + 3, ssn={"deep": [SECRET]}, pin={"z": -0.0, "s": SECRET}, n=5),
        hidden(first + 4, ssn=NUMBER, note=SECRET, pin=None, n=2**40),
    ]


def broken(key: int) -> list[bytes]:
    """A field twice, and invalid UTF-8 in a hidden field and in another."""
    twice = bson.encode(hidden(key))[4:-1] + bson.encode({"ssn": SECRET + "2", "note": SECRET})[4:-1]
    bad = bson.encode(hidden(key + 1, note=SECRET + "@@")).replace(b"@@", b"@\xff")
    other = bson.encode(hidden(key + 2, name="@@")).replace(b"@@", b"@\xff")
    return [(len(twice) + 5).to_bytes(4, "little") + twice + b"\0", bad, other]


def everything(warehouse: str) -> str:
    """All rows of all tables as text, with what they hold in base64 put beside it."""
    found = []
    with psycopg.connect(warehouse) as connection:
        tables = connection.execute(
            "select table_schema, table_name from information_schema.tables"
            " where table_schema not in ('information_schema', 'pg_catalog')"
        ).fetchall()
        for schema, table in tables:
            rows = sql.SQL("select t::text from {} as t").format(sql.Identifier(schema, table))
            found += [text for (text,) in connection.execute(rows).fetchall()]
        records = "select encode(decode(record, 'base64'), 'escape') from cartridge_warp_metadata.dead_letters"
        found += [text for (text,) in connection.execute(f"{records} where encoding = 'base64'").fetchall()]
    return "\n".join(found)


def rows(warehouse: str, schema: str) -> dict[int, Any]:
    query = sql.SQL("select _id, ssn_hash, pin, mail, n, price from {} order by 1").format(
        sql.Identifier(schema, "users")
    )
    with psycopg.connect(warehouse) as connection:
        return {row[0]: row[1:] for row in connection.execute(query).fetchall()}


@pytest.fixture
def command(tmp_path: Path, mongo_db: MongoDatabase, warehouse: str) -> Command:
    (tmp_path / "shop_rules.py").write_text(RULES)
    users = {"columns": COLUMNS, "transform": "shop_rules:clean"}
    return Command(
        tmp_path, mongo_db.uri, warehouse, mongo_db.name, tables={"users": users, "odd": {"json_format": "extended"}}
    )


def test_nothing_of_a_hidden_value_is_anywhere(
    command: Command, mongo_db: MongoDatabase, warehouse: str, tmp_path: Path
) -> None:
    # SPEC: T5, 2, E3, E8, R1
    users = mongo_db.database["users"]
    users.insert_many(documents(0))
    users.insert_many([RawBSONDocument(raw) for raw in broken(100)])
    mongo_db.database["odd"].insert_one({"_id": 1, "at": {"x": datetime(2024, 1, 2, tzinfo=UTC)}})
    command.once()
    process = command.start("run")
    try:
        # The same through the stream, looked up and as inserted, and with deletes.
        users.insert_many(documents(10))
        users.insert_many([RawBSONDocument(raw) for raw in broken(110)])
        users.update_one({"_id": 0}, {"$set": {"n": "seven", "ssn": SECRET + "3"}})
        users.delete_one({"_id": 1})
        eventually(lambda: 14 in rows(warehouse, mongo_db.name) and 1 not in rows(warehouse, mongo_db.name))
    finally:
        assert stop(process) == 0
    command.once("--full-resync")

    found = rows(warehouse, mongo_db.name)
    assert set(found) == {0, 2, 3, 4, 10, 11, 12, 13, 14}
    digest = hashlib.sha256(SECRET.encode()).hexdigest()
    assert found[10] == (digest, "***", "u10@x.org", 1, found[10][4])
    assert str(found[10][4]) == "1.50"
    assert found[4][:2] == (hashlib.sha256(str(NUMBER).encode()).hexdigest(), None)
    assert found[11][3] is None
    assert str(found[11][4]) == "1.00"
    with psycopg.connect(warehouse) as connection:
        reasons = connection.execute(
            "select distinct reason from cartridge_warp_metadata.dead_letters where table_name = 'users'"
        ).fetchall()
        [[at]] = connection.execute(
            sql.SQL("select at from {}").format(sql.Identifier(mongo_db.name, "odd"))
        ).fetchall()
    expected = {"conversion", "truncation", "drastic_change", "character_removed", "duplicate_field", "invalid_utf8"}
    assert {reason for (reason,) in reasons} == expected
    assert at == {"x": {"$date": "2024-01-02T00:00:00Z"}}

    dump = everything(warehouse)
    assert digest in dump
    for secret in (SECRET, str(NUMBER)):
        assert secret not in dump
        assert secret not in command.log
    status = subprocess.run(
        [WARP, "--config", str(tmp_path / "warp.yaml"), "status", "--json"], capture_output=True, text=True, check=True
    )
    [line] = [its for its in json.loads(status.stdout) if its["table"] == "users"]
    assert {(its["column"], its["action"]) for its in line["discards"]} == {
        ("ssn", "hash"),
        ("note", "drop"),
        ("pin", "mask"),
    }


def test_columns_are_renamed_and_retyped_by_a_resync(tmp_path: Path, mongo_db: MongoDatabase, warehouse: str) -> None:
    # SPEC: 2, E2, T9
    def run(columns: dict[str, Any], *arguments: str) -> Command:
        tables = {"users": {"columns": columns}}
        made = Command(tmp_path, mongo_db.uri, warehouse, mongo_db.name, tables=tables)
        made.once(*arguments)
        return made

    users = mongo_db.database["users"]
    users.insert_many([{"_id": 1, "a": 1, "b": "one", "at": datetime(2024, 1, 2)}, {"_id": 2, "a": 2**40}])
    run({"at": {"type": "timestamp"}})
    columns = {"a": {"type": "decimal(21,2)", "rename": "b"}, "b": {"rename": "a"}, "_id": {"rename": "user_id"}}
    run(columns | {"at": {"type": "text"}}, "--full-resync")
    users.insert_one({"_id": 3, "a": 0.125, "b": 7, "at": datetime(2024, 1, 3)})
    users.delete_one({"_id": 2})
    run(columns | {"at": {"type": "text"}})
    query = sql.SQL("select user_id, b::text, a, at from {} order by 1").format(sql.Identifier(mongo_db.name, "users"))
    with psycopg.connect(warehouse) as connection:
        found = connection.execute(query).fetchall()
        names = connection.execute(
            "select column_name, stored_name from cartridge_warp_metadata.name_map order by 1"
        ).fetchall()
    assert found == [
        (1, "1.00", "one", "2024-01-02T00:00:00.000Z"),
        (3, "0.12", "7", "2024-01-03T00:00:00.000Z"),
    ]
    assert names == [("_id", "user_id"), ("a", "b"), ("b", "a")]
