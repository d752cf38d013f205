"""Random lives of a collection on real servers, against a dictionary: each value has a lawful fate."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from bson import DatetimeMS, Decimal128, Int64, ObjectId
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from pymongo import MongoClient

from tests.pairs.canonical import key_text
from tests.pairs.lawful import keyed, unlawful
from tests.pairs.process import PATIENCE_SECONDS, Command, eventually
from warp_resources.connectors.postgresql.embedded import EmbeddedPostgres

pytestmark = [pytest.mark.servers, pytest.mark.timeout(600)]

LIVES, STEPS = 5, 16
IDS = [ObjectId(f"{number:024x}") for number in range(4)]
KEYS = st.one_of(
    st.integers(0, 12), st.sampled_from(["1", "a", "b", "c"]), st.sampled_from(IDS), st.sampled_from([0.5, 2.5])
)
SCALARS = st.one_of(
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([2**31, Int64(2**53 + 1), Int64(-(2**63)), 19999.5, 0.1, -0.0, 1e300, float("nan")]),
    st.sampled_from([Decimal128("1.10"), Decimal128("3.0"), Decimal128("-7")]),
    st.sampled_from(["", "7", "0123", "true", "3.0", "naïve", "nul\0here", "2024-01-01T00:00:00.000Z"]),
    st.sampled_from([datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=hours) for hours in range(3)]),
    st.sampled_from([DatetimeMS(253_402_300_800_000), DatetimeMS(-62_167_219_200_000), DatetimeMS(2**62)]),
    st.sampled_from([b"\x00\xff", ObjectId("65a0b1c2d3e4f5a6b7c8d9e0"), None]),
)
VALUES = st.one_of(
    SCALARS,
    SCALARS,
    st.dictionaries(st.sampled_from(["x", "y", ""]), SCALARS, max_size=2),
    st.lists(SCALARS, max_size=2),
)
NAMES = st.sampled_from(["name", "Name", "n", "v", "w", "ctid", "_warp_x", "late"])
FIELDS = st.dictionaries(NAMES, VALUES, max_size=4)


@dataclass(frozen=True, slots=True)
class Servers:
    """Where a life is lived, and where it is copied to."""

    mongo: MongoClient[dict[str, Any]]
    uri: str
    postgres: EmbeddedPostgres


class Lives(RuleBasedStateMachine):
    """One collection, changed and replicated in any order; ``documents`` is what it must hold."""

    servers: Servers

    @initialize()
    def begin(self) -> None:
        self.name = f"db_{uuid.uuid4().hex[:12]}"
        self.warehouse = self.servers.postgres.create_database(self.name)
        self.folder = Path(tempfile.mkdtemp(prefix="cartridge-warp-lives-"))
        self.command = Command(self.folder, self.servers.uri, self.warehouse, self.name)
        self.collection = self.servers.mongo[self.name]["lives"]
        self.servers.mongo[self.name].create_collection("lives")
        self.servers.mongo[self.name].create_collection("keeps the database")
        self.count = 1_000
        self.documents: dict[str, dict[str, Any]] = {}
        self.others: dict[str, dict[str, dict[str, Any]]] = {}
        self.ghosts: dict[str, dict[str, Any]] = {}
        self.is_changed = False
        self.stream: subprocess.Popen[bytes] | None = None

    @rule(key=KEYS, fields=FIELDS)
    def put(self, key: Any, fields: dict[str, Any]) -> None:
        """An insert, or a replacement."""
        self.collection.replace_one({"_id": key}, fields, upsert=True)
        self.documents[key_text(key)] = {"_id": key, **fields}
        self.is_changed = True

    @rule(fields=st.lists(FIELDS, min_size=1, max_size=20))
    def put_many(self, fields: list[dict[str, Any]]) -> None:
        documents = [{"_id": ObjectId(f"{self.count + number:024x}"), **each} for number, each in enumerate(fields)]
        self.count += len(documents)
        self.collection.insert_many(documents)
        self.documents |= keyed(documents)
        self.is_changed = True

    @precondition(lambda self: self.documents)
    @rule(data=st.data(), name=NAMES, value=VALUES)
    def change(self, data: st.DataObject, name: str, value: Any) -> None:
        text = data.draw(st.sampled_from(sorted(self.documents)))
        self.collection.update_one({"_id": self.documents[text]["_id"]}, {"$set": {name: value}})
        self.documents[text] = {**self.documents[text], name: value}
        self.is_changed = True

    @precondition(lambda self: self.documents)
    @rule(data=st.data(), name=NAMES)
    def take_away(self, data: st.DataObject, name: str) -> None:
        text = data.draw(st.sampled_from(sorted(self.documents)))
        self.collection.update_one({"_id": self.documents[text]["_id"]}, {"$unset": {name: ""}})
        self.documents[text] = {its: value for its, value in self.documents[text].items() if its != name}
        self.is_changed = True

    @precondition(lambda self: self.documents)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        text = data.draw(st.sampled_from(sorted(self.documents)))
        self.collection.delete_one({"_id": self.documents.pop(text)["_id"]})
        self.is_changed = True

    @precondition(lambda self: self.documents)
    @rule(renamed=st.booleans())
    def lose(self, renamed: bool) -> None:
        """The collection is dropped or renamed; by default its rows are kept."""
        if renamed:
            name = f"former_{len(self.others)}"
            self.collection.rename(name)
            self.others[name] = self.documents
        else:
            self.collection.drop()
        self.ghosts |= self.documents
        self.documents = {}

    @precondition(lambda self: self.stream is None and self.is_changed)
    @rule(again=st.booleans())
    def run_once(self, again: bool) -> None:
        self.command.once(*(["--full-resync"] if again else []))
        assert self.differences() == []
        self.is_changed = False

    @precondition(lambda self: self.stream is None)
    @rule()
    def start(self) -> None:
        self.stream = self.command.start("run")

    @precondition(lambda self: self.stream is not None and self.is_changed)
    @rule()
    def catch_up(self) -> None:
        eventually(self.differences)
        self.is_changed = False

    @precondition(lambda self: self.stream is not None)
    @rule(kindly=st.booleans())
    def end(self, kindly: bool) -> None:
        assert self.stream is not None
        if kindly:
            self.end_kindly(self.stream)
        else:
            self.stream.kill()
            self.stream.wait()
        self.stream = None

    @invariant()
    def runs_on(self) -> None:
        if getattr(self, "stream", None) is not None:
            assert self.stream is not None
            assert self.stream.poll() is None, self.command.log[-3000:]

    def end_kindly(self, stream: subprocess.Popen[bytes]) -> None:
        # A process that has just begun to start has no handler of signals yet. How soon it ends is tested elsewhere.
        stream.send_signal(signal.SIGTERM)
        assert stream.wait(PATIENCE_SECONDS) in (0, -signal.SIGTERM), self.command.log[-3000:]

    def differences(self) -> list[str]:
        found = unlawful(self.warehouse, self.name, "lives", self.documents, self.ghosts)
        for name, documents in self.others.items():
            found += [f"{name}: {line}" for line in unlawful(self.warehouse, self.name, name, documents)]
        return found

    def teardown(self) -> None:
        if not hasattr(self, "stream"):
            return
        try:
            if self.stream is not None:
                eventually(self.differences)
                self.end_kindly(self.stream)
            self.command.once()
            assert self.differences() == []
        finally:
            if self.stream is not None and self.stream.poll() is None:
                self.stream.kill()
                self.stream.wait()
            self.servers.mongo.drop_database(self.name)
            self.servers.postgres.drop_database(self.name)
            shutil.rmtree(self.folder)


@pytest.fixture
def lives(mongo_client: MongoClient[dict[str, Any]], mongo_uri: str, postgres_server: EmbeddedPostgres) -> type[Lives]:
    class Here(Lives):
        servers = Servers(mongo_client, mongo_uri, postgres_server)

    return Here


def test_random_lives(lives: type[Lives]) -> None:
    # SPEC: E2 E3 E4 E5 E6 E8 E11 T7 L2 M5
    checks = list(HealthCheck)
    # Lives are long and costly: the first that fails is told as it was, not made shorter.
    its = settings(
        max_examples=LIVES,
        stateful_step_count=STEPS,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=checks,
    )
    run_state_machine_as_test(lives, settings=its)  # type: ignore[no-untyped-call]
