"""The commands that only look: they say what there is and write nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cli.conftest import Warp, schemas_of
from tests.fixtures.servers import MongoDatabase

pytestmark = pytest.mark.servers


def test_config_show_gives_each_value_with_its_layer(shop: Warp, settings: dict[str, Any]) -> None:
    # SPEC: C1, L4
    settings["performance"]["write_batch_size"] = 70
    settings["schemas"][0]["tables"] = {"users": {"stream_batch_size": 9}}
    shop.write(settings)
    shop.environ["CARTRIDGE_WARP_SCHEMAS__SHOP__POLLING_INTERVAL"] = "2s"
    shown = shop.json("config", "show", "--table", "shop.users", "--json")
    assert shown["stream_batch_size"] == {"value": "9", "layer": "file (table)"}
    assert shown["write_batch_size"] == {"value": "70", "layer": "file (global)"}
    assert shown["polling_interval"] == {"value": "2s", "layer": "environment (schema)"}
    assert shown["json_format"]["layer"] == "default"
    assert "stream_batch_size" in shop.ok("config", "show", "--table", "users")
    assert "***" in shop.ok("config", "show")


def test_schema_prints_the_json_schema(warp: Warp) -> None:
    # SPEC: C4
    assert warp.json("schema")["properties"]["schemas"]["type"] == "array"


def test_validate_checks_the_file_and_both_sides(shop: Warp, warehouse: str) -> None:
    # SPEC: L3
    assert "valid" in shop.ok("validate")
    answer = shop.ok("validate", "--connect")
    assert answer.count("ok  ") == 2
    assert schemas_of(warehouse) == set()


def test_discover_lists_what_is_replicated_and_what_not(shop: Warp) -> None:
    # SPEC: L4
    found = {table["table"]: table for table in shop.json("discover", "--json")}
    assert {name: table["replicated"] for name, table in found.items()} == {
        "users": True,
        "orders": True,
        "logs": False,
    }
    assert found["users"]["rows"] == 40
    assert "orders" in shop.ok("discover")


@pytest.mark.parametrize("command", [["plan"], ["run", "--dry-run"]], ids=" ".join)
def test_a_plan_shows_what_a_run_would_do_and_writes_nothing(
    shop: Warp, warehouse: str, mongo_db: MongoDatabase, command: list[str]
) -> None:
    # SPEC: L2
    before = mongo_db.client.list_database_names()
    text = shop.ok(*command)
    assert "2 to create, 0 to alter, about 65 rows to copy" in text
    assert "add column total numeric" in text
    assert "logs" not in text
    assert schemas_of(warehouse) == set()
    assert mongo_db.client.list_database_names() == before


def test_a_plan_shows_the_columns_that_a_sample_alters(shop: Warp, mongo_db: MongoDatabase, warehouse: str) -> None:
    shop.ok("run", "--once")
    mongo_db.database.users.update_one({"_id": 1}, {"$set": {"n": "text now", "late": True}})
    plans = {plan["table"]: plan for plan in shop.json("plan", "--json")}
    assert not plans["users"]["copy"]
    changes = {change["column"]: change for change in plans["users"]["changes"]}
    assert changes["n"]["kind"] == "alter_type"
    assert (changes["n"]["from"], changes["n"]["type"]) == ("int64", "text")
    assert changes["late"]["kind"] == "add_column"
    assert plans["orders"]["changes"] == []


def test_status_and_markers_tell_where_each_table_stands(shop: Warp) -> None:
    # SPEC: L4, T1
    assert "Nothing has run yet" in shop.run("status").stderr
    assert shop.json("status", "--json") == []
    shop.ok("run", "--once")
    lines = {line["table"]: line for line in shop.json("status", "--json")}
    assert set(lines) == {"", "users", "orders"}
    assert lines["users"] | {"updated_at": 0, "age_seconds": 0} == {
        "schema": "shop",
        "table": "users",
        "mode": "stream",
        "state": "inactive",
        "holder": None,
        "loaded": True,
        "updated_at": 0,
        "age_seconds": 0,
        "rows_written": 40,
        "rows_deleted": 0,
        "dead_letters": 0,
        "position": None,
        "error": None,
        "discards": [],
        "rewriting": None,
        "readings": [],
        "log_window_seconds": None,
        "history": None,
    }
    assert lines[""]["log_window_seconds"] >= 0
    assert "is not full yet" in lines[""]["history"]
    assert "(stream)" in shop.ok("status")
    markers = {line["table"]: line for line in shop.json("markers", "list", "--json")}
    assert markers[""]["position"] == shop.json("markers", "show", "shop")["position"]


def test_markers_set_moves_a_stream_back_to_where_it_was(shop: Warp, mongo_db: MongoDatabase) -> None:
    # SPEC: T1
    shop.ok("run", "--once")
    position = json.dumps(shop.json("markers", "show", "shop")["position"])
    mongo_db.database.users.insert_one({"_id": 100})
    shop.ok("run", "--once")
    shop.ok("markers", "set", "shop", position, "--yes")
    assert json.dumps(shop.json("markers", "show", "shop")["position"]) == position
    shop.ok("run", "--once")
    assert shop.json("markers", "show", "shop")["position"] != json.loads(position)


@pytest.mark.parametrize("command", [["plan"], ["run", "--dry-run"]], ids=" ".join)
def test_a_plan_of_some_tables_is_of_those_in_the_schemas_that_have_them(
    shop: Warp, settings: dict[str, Any], mongo_db: MongoDatabase, command: list[str]
) -> None:
    # SPEC: L2
    settings["schemas"].append({"name": "crm", "database": f"{mongo_db.name}_crm"})
    crm = mongo_db.client[f"{mongo_db.name}_crm"]
    crm.accounts.insert_one({"_id": 1})
    shop.write(settings)
    try:
        text = shop.ok(*command, "--table", "users")
        assert "1 to create, 0 to alter, about 40 rows to copy" in text
        assert "orders" not in text
        assert "Did you mean 'users'" in shop.refused(*command, "--table", "user", code=2)
        shop.ok("run", "--once", "--table", "users")
    finally:
        mongo_db.client.drop_database(crm.name)


def test_discover_tells_a_database_that_does_not_exist(
    shop: Warp, settings: dict[str, Any], mongo_db: MongoDatabase
) -> None:
    # SPEC: L3
    settings["source"]["database"] = f"{mongo_db.name}x"
    shop.write(settings)
    assert f"Did you mean {mongo_db.name!r}" in shop.refused("discover", code=2)
