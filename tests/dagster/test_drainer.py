"""The drainer's process and the mandate that it lives by, without a daemon."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import yaml

from tests.fixtures.servers import MongoDatabase
from warp_resources.config import WarpConfig
from warp_resources.pipeline.options import open_destination
from warp_sensors import drainer as module
from warp_sensors import mandate
from warp_sensors.drainer import Drainer
from warp_sensors.mandate import MANDATE, drain_lease, drainer_label

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.servers


class Stream:
    """A MongoDB database that a drainer may bring to a warehouse."""

    def __init__(self, mongo: MongoDatabase, warehouse: str, folder: Path) -> None:
        self.mongo = mongo
        self.warehouse = warehouse
        self.file = folder / "warp.yaml"
        settings = {
            "source": {"type": "mongodb", "connection_string": mongo.uri, "database": mongo.name},
            "destination": {"type": "postgresql", "connection_string": warehouse},
            "schemas": [{"name": "shop", "mode": "stream"}],
        }
        self.file.write_text(yaml.safe_dump(settings))
        self.config = WarpConfig.from_file(self.file)
        self.destination = open_destination(self.config)
        self.store = self.destination.state_store()

    def start(self, *, last: str = "pass") -> subprocess.Popen[str]:
        """A drainer that runs a ``last`` statement when it has ended."""
        code = f"import sys, warp_sensors.drain as d; code = d.main(['--schema', 'shop']); {last}; sys.exit(code)"
        return subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, "CARTRIDGE_WARP_CONFIG": str(self.file)},
            stderr=subprocess.PIPE,
            text=True,
        )

    def has(self, number: int) -> bool:
        with psycopg.connect(self.warehouse) as connection:
            try:
                found = connection.execute("select 1 from shop.users where _id = %s", [number]).fetchone()
            except psycopg.errors.UndefinedTable:
                return False
        return found is not None

    def close(self) -> None:
        self.store.close()
        self.destination.close()


@pytest.fixture
def stream(
    mongo_db: MongoDatabase, warehouse: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Stream]:
    made = Stream(mongo_db, warehouse, tmp_path)
    monkeypatch.setenv("CARTRIDGE_WARP_CONFIG", str(made.file))
    monkeypatch.chdir(ROOT)
    made.mongo.database["users"].insert_one({"_id": 1})
    yield made
    made.store.set_mandate("shop", MANDATE * 0)
    eventually(lambda: made.store.lease_holder(drain_lease("shop")) is None)
    made.close()


def eventually(holds: Callable[[], object], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)


def test_it_streams_without_dagster_until_its_mandate_ends(stream: Stream) -> None:
    # SPEC: D3 M4
    # FAULTS: 29
    stream.store.set_mandate("shop", MANDATE)
    process = stream.start(last="print('dagster' in sys.modules, file=sys.stderr)")
    eventually(lambda: stream.has(1))
    stream.mongo.database["users"].insert_one({"_id": 2})
    eventually(lambda: stream.has(2))
    stream.store.set_mandate("shop", MANDATE * 0)
    _, log = process.communicate(timeout=15)
    assert process.returncode == 0
    assert log.splitlines()[-1] == "False"
    assert stream.store.lease_holder(drain_lease("shop")) is None


def test_a_second_one_is_not_needed(stream: Stream) -> None:
    # SPEC: T8
    stream.store.set_mandate("shop", MANDATE)
    first = stream.start()
    eventually(lambda: stream.has(1))
    second = stream.start()
    _, log = second.communicate(timeout=30)
    assert second.returncode == 0
    assert "drainer is not needed" in log
    assert first.poll() is None
    first.send_signal(signal.SIGTERM)
    first.communicate(timeout=10)
    assert first.returncode == 0


def test_a_tick_starts_it_renews_its_mandate_and_replaces_it_after_a_kill(stream: Stream) -> None:
    # SPEC: D3
    # FAULTS: 1
    ticks = Drainer(stream.config, "shop")
    assert "is started" in ticks.keep(stream.store)
    assert "is starting" in ticks.keep(stream.store) or stream.store.lease_holder(drain_lease("shop"))
    eventually(lambda: stream.has(1))
    assert "streams" in ticks.keep(stream.store)
    holder = stream.store.lease_holder(drain_lease("shop"))
    assert holder is not None
    # A session of its own: what stops this process group does not stop the stream.
    assert os.getsid(holder.pid) == holder.pid
    os.kill(holder.pid, signal.SIGKILL)
    stream.mongo.database["users"].insert_one({"_id": 2})
    eventually(lambda: ticks.keep(stream.store) and stream.has(2))
    again = stream.store.lease_holder(drain_lease("shop"))
    assert again is not None
    assert again.pid != holder.pid


def test_one_that_is_frozen_is_replaced(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    # SPEC: D3 T8
    # FAULTS: 3 29
    monkeypatch.setattr(module, "HANGS_AFTER_SECONDS", 0.5)
    ticks = Drainer(stream.config, "shop")
    ticks.keep(stream.store)
    eventually(lambda: stream.has(1))
    ticks.keep(stream.store)
    holder = stream.store.lease_holder(drain_lease("shop"))
    assert holder is not None
    os.kill(holder.pid, signal.SIGSTOP)
    stream.mongo.database["users"].insert_one({"_id": 2})
    eventually(lambda: ticks.keep(stream.store) and stream.has(2))
    again = stream.store.lease_holder(drain_lease("shop"))
    assert again is not None
    assert again.pid != holder.pid
    assert not psutil.pid_exists(holder.pid)


def test_another_configuration_means_another_drainer(stream: Stream) -> None:
    # SPEC: D1
    before = Drainer(stream.config, "shop")
    before.keep(stream.store)
    eventually(lambda: stream.has(1))
    holder = stream.store.lease_holder(drain_lease("shop"))
    settings = yaml.safe_load(stream.file.read_text())
    settings["schemas"][0]["table_blacklist"] = ["secret"]
    stream.file.write_text(yaml.safe_dump(settings))
    changed = WarpConfig.from_file(stream.file)
    assert drainer_label(changed) != drainer_label(stream.config)
    after = Drainer(changed, "shop")
    assert "configuration has changed" in after.keep(stream.store)

    def is_replaced() -> bool:
        after.keep(stream.store)
        found = stream.store.lease_holder(drain_lease("shop"))
        return found is not None and holder is not None and found.pid != holder.pid

    eventually(is_replaced)


def test_a_file_that_was_edited_since_does_not_part_a_drainer_from_its_sensor(stream: Stream) -> None:
    # SPEC: D3
    ticks = Drainer(stream.config, "shop")
    settings = yaml.safe_load(stream.file.read_text())
    # As it is written now, nothing of the schema streams; the code was not loaded again.
    settings["schemas"][0]["mode"] = "batch"
    stream.file.write_text(yaml.safe_dump(settings))
    ticks.keep(stream.store)
    eventually(lambda: stream.has(1))
    assert "streams" in ticks.keep(stream.store)
    stream.store.set_mandate("shop", MANDATE * 0)
    ticks.renew(stream.store)
    assert stream.store.has_mandate("shop")


def test_another_version_means_another_drainer(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    # SPEC: D3
    before = drainer_label(stream.config)
    monkeypatch.setattr(mandate, "_VERSION", "another")
    assert drainer_label(stream.config) != before


def test_one_without_a_reader_of_its_log_ends_with_its_mandate_too(stream: Stream) -> None:
    # SPEC: D3
    stream.store.set_mandate("shop", MANDATE)
    process = stream.start()
    eventually(lambda: stream.has(1))
    assert process.stderr is not None
    # As after Ctrl-C on `dagster dev 2>&1 | tee log`.
    process.stderr.close()
    stream.store.set_mandate("shop", MANDATE * 0)
    process.wait(timeout=20)
    assert stream.store.lease_holder(drain_lease("shop")) is None


def test_one_that_fails_is_not_started_again_at_once(stream: Stream) -> None:
    # SPEC: D3
    settings = yaml.safe_load(stream.file.read_text())
    settings["schemas"][0]["tables"] = {"users": {"primary_key": ["name"]}}
    stream.file.write_text(yaml.safe_dump(settings))
    ticks = Drainer(WarpConfig.from_file(stream.file), "shop")
    assert "is started" in ticks.keep(stream.store)
    eventually(lambda: "started again in" in ticks.keep(stream.store))


def test_a_schema_may_be_drained_inside_the_tick(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    # SPEC: C6
    monkeypatch.setenv("CARTRIDGE_WARP_DRAIN", "tick")
    monkeypatch.setattr(module, "TICK_SECONDS", 3.0)
    assert "inside this tick" in Drainer(stream.config, "shop").keep(stream.store)
    assert stream.has(1)
