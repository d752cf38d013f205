"""Reading from a member of choice while the replica set changes (SPEC R3)."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from pymongo import MongoClient
from pymongo.errors import AutoReconnect

from tests.contract.mongodb_reading import LIMITS, Reading, rows_of
from warp_resources.connectors.interfaces import SourceScope
from warp_resources.connectors.mongodb.embedded import EmbeddedMongod
from warp_resources.connectors.mongodb.options import MongoOptions
from warp_resources.connectors.mongodb.source import MongoSource
from warp_resources.errors import TransientError
from warp_resources.model.positions import KeyRange

pytestmark = pytest.mark.servers

PATIENCE_SECONDS = 60.0


@pytest.fixture
def replica_set() -> Iterator[EmbeddedMongod]:
    with EmbeddedMongod(member_count=3, arguments=("--oplogSize", "50")) as server:
        yield server


def change_primary(server: EmbeddedMongod) -> None:
    """Let another member be the primary."""
    with MongoClient(server.uri) as client:
        client.admin.command("ping")
        before = client.primary
        # The server may hang up on the one who asks.
        with contextlib.suppress(AutoReconnect):
            client.admin.command("replSetStepDown", 60, secondaryCatchUpPeriodSecs=10)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            client.admin.command("ping")
            if client.primary not in (None, before):
                return
        raise AssertionError("no other member became primary")


def test_a_stream_goes_on_while_others_read_from_another_member(replica_set: EmbeddedMongod) -> None:
    options = MongoOptions(connection_string=replica_set.uri, read_preference="primaryPreferred")
    source = MongoSource(options)
    with MongoClient(replica_set.uri, w="majority") as client:
        reading = Reading(source, SourceScope("shop", "shop"), client["shop"])
        reading.database.users.insert_one({"_id": 0})
        stream = reading.stream(reading.end())
        stream.next(LIMITS, timedelta(milliseconds=1))
        change_primary(replica_set)
        # What the main thread does while the reading thread has the stream.
        assert source.read_chunk(reading.scope, "users", KeyRange(), None, LIMITS, None).batch.row_count == 1
        reading.database.users.insert_one({"_id": 1})
        changes = stream.next(LIMITS, timedelta(seconds=20))
        while changes is not None and not changes.tables:
            changes = stream.next(LIMITS, timedelta(seconds=20))
        assert changes is not None
        assert rows_of(changes.tables[0]) == [{"_id": 1}]
        source.close()
        with pytest.raises(TransientError):
            stream.next(LIMITS, timedelta(milliseconds=1))
        stream.close()
