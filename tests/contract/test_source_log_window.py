"""How far back a source's log goes, what may ask for it, and what it is warned by (SPEC R4)."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from tests.contract.laboratories import MemorySourceLab, SourceLab
from warp_resources.connectors.interfaces import LogWindow, SourceScope
from warp_resources.connectors.memory.server import MemoryServer
from warp_resources.connectors.memory.source import MemorySource
from warp_resources.connectors.mongodb.embedded import EmbeddedMongod
from warp_resources.connectors.mongodb.options import MongoOptions
from warp_resources.connectors.mongodb.source import MongoSource
from warp_resources.connectors.mongodb.tokens import position_of, token_of
from warp_resources.errors import OperatorError
from warp_resources.model.positions import Position, StreamState, TableState
from warp_resources.model.tables import TableId
from warp_resources.pipeline.history import outlooks

Guarded = tuple[str, str, MongoClient[dict[str, Any]]]
SHOP = SourceScope("shop", "shop")
OPLOG_BYTES, DOCUMENT_BYTES = 2**20, 50_000


# SPEC: R4
def test_a_young_log_has_a_window_and_loses_nothing(logged_lab: SourceLab) -> None:
    logged_lab.put("users", {"_id": 1})
    window = logged_lab.open().log_window(logged_lab.scope())
    assert window is not None
    assert window.oldest <= window.newest
    assert abs(datetime.now(UTC) - window.newest) < timedelta(minutes=5)
    assert not window.is_full


# SPEC: R4
def test_a_log_that_has_forgotten_something_says_since_when() -> None:
    lab = MemorySourceLab("trimmed")
    try:
        lab.put("users", {"_id": 1})
        source = lab.open()
        assert isinstance(source, MemorySource)
        source.server.trim_log()
        trimmed = source.log_window(lab.scope())
        lab.put("users", {"_id": 2})
        after = source.log_window(lab.scope())
        assert trimmed is not None
        assert after is not None
        assert trimmed.is_full
        assert after.is_full
        assert trimmed.oldest == trimmed.newest == after.oldest <= after.newest
    finally:
        MemoryServer.forget("trimmed")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A replica set with the smallest oplog and a root user: its hosts, its administrator's URI, and a client."""
    key_file = tmp_path_factory.mktemp("guarded") / "key"
    key_file.write_text("0123456789abcdef")
    os.chmod(key_file, 0o400)
    # The oplog is cut at checkpoints, of which there is one each second here.
    arguments = ("--keyFile", str(key_file), "--oplogSize", "1", "--syncdelay", "1")
    with EmbeddedMongod(arguments=arguments) as server:
        hosts = server.uri.removeprefix("mongodb://")
        with MongoClient(server.uri) as client:
            _eventually(lambda: client.admin.command("createUser", "root", pwd="root", roles=["root"]))
        with MongoClient(f"mongodb://root:root@{hosts}") as administrator:
            administrator.shop.users.insert_one({"_id": 0})
            yield hosts, f"mongodb://root:root@{hosts}", administrator


# SPEC: R4 Z2
@pytest.mark.servers
def test_who_may_only_read_the_database_is_told_what_else_to_grant(guarded: Guarded) -> None:
    hosts, _, administrator = guarded
    privileges = [
        {"resource": {"cluster": True}, "actions": ["serverStatus"]},
        {"resource": {"db": "local", "collection": "oplog.rs"}, "actions": ["collStats"]},
    ]
    administrator.admin.command("createRole", "logWindow", privileges=privileges, roles=[])
    read = {"role": "read", "db": "shop"}
    roles = {"reader": [read], "monitor": [read, {"role": "clusterMonitor", "db": "admin"}], "own": [read, "logWindow"]}
    for user, granted in roles.items():
        administrator.admin.command("createUser", user, pwd="pw", roles=granted)
    with closing(_source(f"mongodb://reader:pw@{hosts}")) as source:
        source.check(SHOP, log=True)
        with pytest.raises(OperatorError) as caught:
            source.log_window(SHOP)
        assert "clusterMonitor" in str(caught.value)
        assert "collStats" in str(caught.value)
    for user in ("monitor", "own"):
        with closing(_source(f"mongodb://{user}:pw@{hosts}")) as source:
            assert source.log_window(SHOP) is not None


# SPEC: R4  FAULTS: 6
@pytest.mark.servers
def test_a_log_that_goes_round_is_full_and_too_short(guarded: Guarded) -> None:
    _, uri, administrator = guarded
    with closing(_source(uri)) as source:
        start = source.log_end(SHOP)
        young = _window(source)
        assert not young.is_full
        assert not _short(source, young, start, {})
        full = _rolled_over(administrator, source, young.oldest)
        end = source.log_end(SHOP)
        assert "replSetResizeOplog" in full.remedy
        # An oplog of seconds is shorter than an hour, wherever the stream is.
        assert _short(source, full, end, {}) == [""]
        # Were it of two hours, only a place before its newer third would be too far back.
        wide = LogWindow(full.newest - timedelta(hours=2), full.newest, is_full=True, remedy=full.remedy)
        assert not _short(source, wide, end, {"items": end, "orders": end})
        behind = position_of(token_of(end), (int((full.newest - timedelta(minutes=45)).timestamp()), 1))
        assert _short(source, wide, end, {"items": behind, "orders": end}) == ["items"]
        assert _short(source, wide, behind, {}) == [""]
        administrator.admin.command({"replSetResizeOplog": 1, "size": 990.0})
        assert not _short(source, _window(source), end, {})


def _short(source: MongoSource, window: LogWindow, position: Position, aside: dict[str, Position]) -> list[str]:
    """Whose history is short: the stream's at a position (the empty name), and that of tables that are set aside."""
    stream = StreamState(position, 1, 1, datetime.now(UTC))
    states = {
        name: TableState(TableId("shop", name), "stream", 1, 1, 1, True, covered_from=position, aside_position=place)
        for name, place in aside.items()
    }
    return [its.table.name for its in outlooks(source, window, "shop", stream, states) if its.is_short]


def _source(uri: str) -> MongoSource:
    return MongoSource(MongoOptions.model_validate({"connection_string": uri}))


def _window(source: MongoSource) -> LogWindow:
    window = source.log_window(SHOP)
    assert window is not None
    return window


def _rolled_over(client: MongoClient[dict[str, Any]], source: MongoSource, past: datetime) -> LogWindow:
    """Write until the oldest entry of the oplog is younger than a time, and it is full."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for _ in range(2 * OPLOG_BYTES // DOCUMENT_BYTES):
            client.shop.users.update_one({"_id": 0}, {"$set": {"v": os.urandom(DOCUMENT_BYTES)}})
        window = _window(source)
        if window.oldest > past and window.is_full:
            return window
    raise AssertionError("the oplog did not roll over")


def _eventually(act: Any) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            act()
        except PyMongoError:
            if time.monotonic() > deadline:
                raise
        else:
            return
