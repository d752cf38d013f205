"""Wrong input: one clear message, an exit code, nothing written, no traceback."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from tests.cli.conftest import Warp, execute, schemas_of
from tests.fixtures.servers import MongoDatabase
from warp_resources.connectors.mongodb.embedded import mongod_binary
from warp_resources.connectors.ports import free_port

pytestmark = pytest.mark.servers


def changed(settings: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """The settings with one key of the dotted path set."""
    *sections, key = path.split(".")
    place: Any = settings
    for section in sections:
        place = place[int(section)] if section.isdigit() else place[section]
    place[key] = value
    return settings


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("destinaton", {}, ["destinaton", "did you mean 'destination'"]),
        ("schemas.0.table_whitelst", ["a"], ["schemas.shop.table_whitelst", "'table_whitelist'"]),
        ("source.replicaset", "rs0", ["source.replicaset", "replica_set"]),
        ("performance.write_batch_size", "many", ["performance.write_batch_size", "'many'", "whole number"]),
        ("schemas.0.mode", "streem", ["schemas.shop.mode", "'streem'", "did you mean 'stream'"]),
        ("schemas.0.schedule", "61 * * * *", ["schemas.shop.schedule", "61"]),
        ("mode", "single", ["single_schema_name", "shop"]),
        ("source.type", "mongo", ["mongo", "mongodb"]),
        ("schemas.0.tables", [{"name": "a"}, {"name": "a"}], ["schemas.shop.tables.a", "two tables"]),
        ("source.connection_string", "mongodb://me:s3cret@[bad", ["connection_string"]),
        ("destination.connection_string", "postgresql//me:s3cret@x", ["connection string"]),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_wrong_file_is_told_before_anything_is_written(
    shop: Warp, settings: dict[str, Any], warehouse: str, path: str, value: object, words: list[str]
) -> None:
    # SPEC: L3, Z1
    shop.write(changed(settings, path, value))
    done = shop.run("validate", "--connect")
    assert done.returncode in (1, 2), done.stderr
    text = shop.refused("run", "--once", code=done.returncode)
    for word in words:
        assert word in text
    assert schemas_of(warehouse) == set()


def test_two_tables_that_land_in_one_are_refused(shop: Warp, settings: dict[str, Any]) -> None:
    settings["destination"]["schema"] = "same"
    settings["schemas"].append({"name": "other", "table_whitelist": ["users"]})
    shop.write(settings)
    text = shop.refused("run", "--once", code=2)
    assert "destination.schema" in text
    assert "users" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "--once", "--schema", "shp"], ["no schema 'shp'", "Did you mean 'shop'"]),
        (["run", "--once", "--table", "user"], ["no table 'user'", "Did you mean 'users'"]),
        (["run", "--once", "--table", "logs"], ["leaves out the table shop.logs"]),
        (["resync", "--table", "shop.order"], ["no table 'order'", "Did you mean 'orders'"]),
        (["plan", "--schema", "sho"], ["Did you mean 'shop'"]),
        (["markers", "set", "shop", "{}", "--yes"], ["position"]),
        (["markers", "set", "shop", "nothing", "--yes"], ["JSON"]),
        (["--config", "absent.yaml", "validate"], ["absent.yaml"]),
        (["run", "--frequently"], ["--frequently"]),
        (["demo", "--destination", "oracle"], ["oracle"]),
    ],
    ids=lambda value: " ".join(value)[:40],
)
def test_a_wrong_name_on_the_command_line_is_told(
    shop: Warp, warehouse: str, arguments: list[str], words: list[str]
) -> None:
    # SPEC: L3, L5
    done = shop.run(*arguments)
    text = shop.refused(*arguments, code=1 if "{}" in arguments else 2)
    for word in words:
        assert word in text
    assert done.stdout == ""
    assert schemas_of(warehouse) == set()


def test_a_misspelt_table_in_the_file_is_told(shop: Warp, settings: dict[str, Any], warehouse: str) -> None:
    settings["schemas"][0]["table_whitelist"] = ["user", "orders"]
    shop.write(settings)
    for command in (["run", "--once"], ["run"], ["validate", "--connect"]):
        assert "did you mean 'users'" in shop.refused(*command, code=2)
    assert schemas_of(warehouse) == set()


def test_a_database_that_does_not_exist_is_told_with_the_nearest(
    shop: Warp, settings: dict[str, Any], mongo_db: MongoDatabase, warehouse: str
) -> None:
    settings["source"]["database"] = mongo_db.name + "x"
    shop.write(settings)
    assert f"Did you mean '{mongo_db.name}'" in shop.refused("run", "--once", code=1)
    settings["source"]["database"] = mongo_db.name
    settings["destination"]["connection_string"] = warehouse + "x"
    shop.write(settings)
    assert warehouse.rpartition("/")[2] + "x" in shop.refused("validate", "--connect", code=1)
    assert schemas_of(warehouse) == set()


@pytest.mark.parametrize("side", ["source", "destination"])
def test_a_server_that_does_not_answer_is_named_without_its_password(
    shop: Warp, settings: dict[str, Any], side: str
) -> None:
    # SPEC: Z1, R3
    port, scheme = free_port(), {"source": "mongodb", "destination": "postgresql"}[side]
    settings[side]["connection_string"] = f"{scheme}://me:s3cret@127.0.0.1:{port}/db"
    settings["performance"]["connection_timeout"] = 1
    settings["error_handling"] = {"max_retries": 1, "max_backoff_seconds": 1}
    shop.write(settings)
    assert f"127.0.0.1:{port}" in shop.refused("validate", "--connect", code=1)
    assert str(port) in shop.refused("run", "--once", code=1)


@pytest.fixture
def standalone(tmp_path: Path) -> Iterator[str]:
    """A mongod that is no replica set, with a database shop."""
    (tmp_path / "data").mkdir()
    port = free_port()
    command = [mongod_binary(), "--dbpath", tmp_path / "data", "--port", str(port), "--bind_ip", "127.0.0.1"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    uri = f"mongodb://127.0.0.1:{port}"
    try:
        with MongoClient(uri, serverSelectionTimeoutMS=30_000) as client:
            client.shop.users.insert_one({"_id": 1})
        yield uri
    finally:
        server.terminate()
        server.wait(20)


def test_a_stream_of_a_standalone_server_says_how_to_make_it_a_replica_set(
    shop: Warp, settings: dict[str, Any], standalone: str, warehouse: str
) -> None:
    settings["source"] = {"type": "mongodb", "connection_string": standalone, "database": "shop"}
    settings["schemas"] = [{"name": "shop"}]
    shop.write(settings)
    for command in (["run", "--once"], ["plan"], ["validate", "--connect"]):
        text = shop.refused(*command, code=1)
        assert "--replSet" in text
        assert "rs.initiate()" in text
    assert schemas_of(warehouse) == set()
    settings["schemas"] = [{"name": "shop", "mode": "batch"}]
    shop.write(settings)
    shop.ok("run", "--once")


def test_a_missing_grant_is_told(shop: Warp, settings: dict[str, Any], warehouse: str) -> None:
    # SPEC: Z2
    role = "stranger_" + warehouse.rpartition("_")[2]
    execute(warehouse, f"create role {role} login")
    settings["destination"]["connection_string"] = warehouse.replace("postgres@", f"{role}@")
    shop.write(settings)
    for command in (["validate", "--connect"], ["plan"], ["run", "--once"]):
        text = shop.refused(*command, code=1)
        assert "grant create on database" in text
        assert role in text
    assert schemas_of(warehouse) == set()


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("create table cartridge_warp_metadata.notes (x int)", "did not make"),
        ("create table cartridge_warp_metadata.metadata_version (x int)", "did not make"),
        ("create table cartridge_warp_metadata.metadata_version as select 999 as version", "later version"),
    ],
    ids=["foreign", "foreign of that name", "later"],
)
def test_metadata_of_others_or_of_a_later_version_is_left_alone(
    shop: Warp, warehouse: str, statement: str, words: str
) -> None:
    execute(warehouse, "create schema cartridge_warp_metadata", statement)
    for command in (["validate", "--connect"], ["plan"], ["run", "--once"], ["status"], ["markers", "list"]):
        assert words in shop.refused(*command, code=1)
    assert schemas_of(warehouse) == {"cartridge_warp_metadata"}


def test_a_missing_grant_on_an_existing_schema_is_told(shop: Warp, settings: dict[str, Any], warehouse: str) -> None:
    # SPEC: Z2
    role = "newcomer_" + warehouse.rpartition("_")[2]
    database = warehouse.rpartition("/")[2]
    execute(
        warehouse,
        f"create role {role} login",
        f"grant create, temporary on database {database} to {role}",
        "create schema shop",
    )
    settings["destination"]["connection_string"] = warehouse.replace("postgres@", f"{role}@")
    shop.write(settings)
    for command in (["validate", "--connect"], ["plan"], ["run", "--once"]):
        assert f'grant usage, create on schema "shop" to "{role}"' in shop.refused(*command, code=1)
    assert schemas_of(warehouse) == {"shop"}


def test_a_refused_resync_writes_nothing(shop: Warp, warehouse: str) -> None:
    # SPEC: M5, L3
    assert "does not cover" in shop.refused("resync", "--table", "shop.users", "--slices", "3", code=1)
    assert schemas_of(warehouse) == set()


def test_a_server_that_is_away_is_waited_for_once_by_all_schemas(shop: Warp, settings: dict[str, Any]) -> None:
    # SPEC: R3, M3
    settings["source"]["connection_string"] = f"mongodb://me:s3cret@127.0.0.1:{free_port()}/"
    settings["schemas"] += [{"name": "crm", "mode": "batch"}, {"name": "hr", "database": "hr"}]
    settings["performance"]["connection_timeout"] = 1
    settings["error_handling"] = {"max_retries": 1, "max_backoff_seconds": 1}
    shop.write(settings)
    text = shop.refused("run", "--once", code=1)
    lines = text.splitlines()
    assert "the names cannot be looked up yet" in lines[0]
    assert "MongoDB does not answer" in lines[0]
    assert text.count("will try again") == 2
    assert text.count("unit not tried") == 2


def test_a_traceback_is_shown_where_it_is_asked_for(warp: Warp) -> None:
    # SPEC: L5
    assert "Traceback" in warp.run("--debug", "validate").stderr
    assert "Traceback" in warp.run("validate", "--debug").stderr


def test_the_version_is_told(warp: Warp) -> None:
    # SPEC: L5
    assert warp.ok("--version").strip()[0].isdigit()
