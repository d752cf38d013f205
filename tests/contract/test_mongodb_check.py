"""What a MongoDB source says before it is used: replica set, database, grants, reachability."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from tests.contract.mongodb_reading import LIMITS, rows_of
from tests.fixtures.servers import MongoDatabase
from warp_resources.connectors.interfaces import SourceScope
from warp_resources.connectors.mongodb.embedded import EmbeddedMongod, mongod_binary
from warp_resources.connectors.mongodb.options import MongoOptions
from warp_resources.connectors.mongodb.source import MongoSource
from warp_resources.connectors.ports import free_port
from warp_resources.errors import OperatorError, TransientError

pytestmark = pytest.mark.servers


@contextmanager
def opened(uri: str, **settings: float) -> Iterator[MongoSource]:
    source = MongoSource(MongoOptions.model_validate({"connection_string": uri, **settings}))
    try:
        yield source
    finally:
        source.close()


@pytest.fixture(scope="module")
def standalone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The connection string of a mongod that is no replica set."""
    port, folder = free_port(), tmp_path_factory.mktemp("standalone")
    command = [mongod_binary(), "--port", str(port), "--bind_ip", "127.0.0.1", "--dbpath", folder]
    process = subprocess.Popen([*command, "--wiredTigerCacheSizeGB", "0.25"], stdout=subprocess.DEVNULL)
    try:
        uri = f"mongodb://127.0.0.1:{port}/"
        with MongoClient(uri, serverSelectionTimeoutMS=60_000) as client:
            client.shop.users.insert_one({"_id": 1})
        yield uri
    finally:
        process.terminate()
        process.wait(30)


def test_a_standalone_server_streams_nothing_and_says_how_to_change_that(standalone: str) -> None:
    with opened(standalone) as source:
        with pytest.raises(OperatorError) as caught:
            source.check(SourceScope("shop", "shop"), log=True)
        assert "--replSet rs0" in str(caught.value)
        assert "rs.initiate()" in str(caught.value)
        with pytest.raises(OperatorError, match="--replSet rs0"):
            source.log_end(SourceScope("shop", "shop"))


def test_a_standalone_server_is_good_enough_for_batches(standalone: str) -> None:
    with opened(standalone) as source:
        scope = SourceScope("shop", "shop")
        source.check(scope, log=False)
        (part,) = source.plan(scope, "users", 4)
        chunk = source.read_chunk(scope, "users", part, None, LIMITS, None)
        assert rows_of(chunk.batch) == [{"_id": 1}]


def test_a_misspelled_database_is_corrected(mongo_db: MongoDatabase) -> None:
    mongo_db.database.users.insert_one({"_id": 1})
    with opened(mongo_db.uri) as source:
        source.check(SourceScope("shop", mongo_db.name), log=True)
        with pytest.raises(OperatorError, match=f"Did you mean '{mongo_db.name}'"):
            source.check(SourceScope("shop", f"{mongo_db.name[:-1]}"), log=True)


def test_a_server_that_is_not_there_is_named_without_its_password() -> None:
    # SPEC: Z1, R3
    port = free_port()
    with opened(f"mongodb://me:secret@127.0.0.1:{port}/", connection_timeout=0.5) as source:
        with pytest.raises(TransientError) as caught:
            source.check(SourceScope("shop", "shop"), log=True)
        assert f"127.0.0.1:{port}" in str(caught.value)
        assert "secret" not in str(caught.value)


def test_a_wrong_connection_string_is_the_operators() -> None:
    with opened("mongodb+srv://a.b.c:1", connection_timeout=0.5) as source, pytest.raises(OperatorError):
        source.check(SourceScope("shop", "shop"), log=True)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """A replica set that asks for passwords: its hosts, and the URI of its administrator."""
    key_file = tmp_path_factory.mktemp("guarded") / "key"
    _write_key(key_file)
    with EmbeddedMongod(arguments=("--keyFile", str(key_file))) as server:
        hosts = server.uri.removeprefix("mongodb://")
        with MongoClient(server.uri) as client:
            _create_administrator(client)
        yield hosts, f"mongodb://root:root@{hosts}"


def _write_key(path: Path) -> None:
    path.write_text("0123456789abcdef")
    os.chmod(path, 0o400)


def _create_administrator(client: MongoClient[dict[str, object]]) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            client.admin.command("createUser", "root", pwd="root", roles=["root"])
            return
        except PyMongoError:
            if time.monotonic() > deadline:
                raise


# SPEC: Z2
def test_the_role_read_on_the_database_is_enough_and_its_lack_is_told(guarded: tuple[str, str]) -> None:
    hosts, administrator = guarded
    with MongoClient(administrator) as client:
        client.shop.users.insert_one({"_id": 1})
        client.admin.command("createUser", "reader", pwd="pw", roles=[{"role": "read", "db": "shop"}])
        client.admin.command("createUser", "stranger", pwd="pw", roles=[{"role": "read", "db": "elsewhere"}])
    scope = SourceScope("shop", "shop")
    with opened(f"mongodb://reader:pw@{hosts}") as source:
        source.check(scope, log=True)
        assert [table.name for table in source.tables(scope)] == ["users"]
        assert source.plan(scope, "users", 4)
        assert source.log_end(scope)
    with opened(f"mongodb://stranger:pw@{hosts}") as source, pytest.raises(OperatorError) as caught:
        source.check(scope, log=True)
    assert 'role: "read", db: "shop"' in str(caught.value)


def test_a_wrong_password_is_the_operators(guarded: tuple[str, str]) -> None:
    with (
        opened(f"mongodb://root:wrong@{guarded[0]}") as source,
        pytest.raises(OperatorError, match="password") as caught,
    ):
        source.check(SourceScope("shop", "shop"), log=True)
    assert "wrong" not in str(caught.value)


# SPEC: X3; FAULTS: 9
def test_a_database_that_was_dropped_stops_no_schema_that_has_run(mongo_db: MongoDatabase) -> None:
    scope = SourceScope("shop", f"{mongo_db.name}_gone")
    with opened(mongo_db.uri) as source:
        for log in (True, False):
            source.check(scope, log=log, known=True)
            with pytest.raises(OperatorError, match="has no database"):
                source.check(scope, log=log)


# SPEC: Z2
def test_a_missing_grant_is_told_also_to_a_schema_that_has_run(guarded: tuple[str, str]) -> None:
    hosts, administrator = guarded
    with MongoClient(administrator) as client:
        client.admin.command("createUser", "other", pwd="pw", roles=[{"role": "read", "db": "elsewhere"}])
    with (
        opened(f"mongodb://other:pw@{hosts}") as source,
        pytest.raises(OperatorError, match="may not read database"),
    ):
        source.check(SourceScope("shop", "shop"), log=True, known=True)
