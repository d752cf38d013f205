"""What a sensor's tick reports of what others did, and what it remembers."""

from __future__ import annotations

import uuid
from contextlib import closing
from datetime import UTC, datetime

import dagster as dg
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.dagster.configurations import Site
from warp_resources import WarpConfig, WarpRunner
from warp_resources.config import effective
from warp_resources.connectors.interfaces import Destination
from warp_resources.connectors.memory.server import MemoryServer
from warp_resources.connectors.memory.source import MemorySource, MemorySourceOptions
from warp_resources.model.tables import TableId
from warp_resources.pipeline.options import open_destination
from warp_sensors import reports
from warp_sensors.changes import impatient
from warp_sensors.memory import Memory, difference
from warp_sensors.reports import SECONDS_BETWEEN, Reporter

MAY = datetime(2024, 5, 1, tzinfo=UTC)
COUNTS = st.tuples(*[st.integers(0, 1000)] * 4)


@pytest.fixture
def site() -> Site:
    made = Site({"name": "shop", "tables": {"first": {}}})
    made.server.put("shop", "first", *({"_id": number} for number in range(40)))
    made.sync()
    return made


def events(site: Site, memory: Memory, now: float, *names: str) -> list[dg.AssetMaterialization]:
    tables = {name: effective(site.config, "shop", name) for name in names or ["first"]}
    reporter = Reporter("shop", tables, MemorySource(MemorySourceOptions()), site.destination, site.instance)
    found = reporter.events(memory, now)
    for event in found:
        site.instance.report_runless_asset_event(event)
    return found


def written(found: list[dg.AssetMaterialization]) -> list[object]:
    return [event.metadata["rows_written"].value for event in found if "rows_written" in event.metadata]


def test_a_table_is_reported_at_most_once_a_minute_with_all_that_was_done(site: Site) -> None:
    # SPEC: D6
    memory = Memory()
    first = events(site, memory, 1000.0)
    assert written(first) == [40]
    assert first[-1].asset_key == dg.AssetKey(["shop", "first"])
    assert first[-1].partition is None
    for number in range(3):
        site.server.put("shop", "first", {"_id": number, "n": number})
        site.sync()
        assert written(events(site, memory, 1001.0 + number)) == []
    memory = Memory.read(memory.text())
    assert written(events(site, memory, 1000.0 + SECONDS_BETWEEN)) == [3]
    assert events(site, memory, 2000.0) == []


def test_the_history_of_a_schema_is_told_when_it_went_on(site: Site) -> None:
    # SPEC: E10 D6
    memory, told = Memory(), []
    for number, field in enumerate(["n", "n", "m"]):
        site.server.put("shop", "first", {"_id": 1, field: number})
        site.sync()
        [event] = [its for its in events(site, memory, 1000.0 * (number + 1)) if "rows_written" in its.metadata]
        memory = Memory.read(memory.text())
        told.append(event.metadata.get("schema_versions"))
    assert told[1] is None, "nothing changed, so nothing is asked for"
    assert ["| n |" in its.value for its in (told[0], told[2]) if its] == [True, True]
    assert "| m |" in told[2].value.splitlines()[2]


def test_what_dagster_ran_itself_is_not_reported_again(site: Site) -> None:
    # SPEC: D6
    memory = Memory()
    events(site, memory, 1000.0)
    site.server.put("shop", "first", {"_id": 1, "n": "by a run"})
    assert site.run_job("sync_shop").success
    assert site.metadata("shop", "first")["rows_written"] == 1
    assert written(events(site, memory, 2000.0)) == []


def test_a_lost_cursor_is_no_harm(site: Site) -> None:
    # SPEC: D6
    events(site, Memory(), 1000.0)
    assert Memory.read("not json") == Memory.read('{"tables": 5}') == Memory.read(None) == Memory()


@given(COUNTS, COUNTS)
def test_what_was_added_and_what_was_known_is_what_there_is(
    now: tuple[int, int, int, int], before: tuple[int, int, int, int]
) -> None:
    added = difference(now, before)
    began_anew = any(left < right for left, right in zip(now, before, strict=True))
    assert added == (now if began_anew else tuple(a - b for a, b in zip(now, before, strict=True)))
    assert all(count >= 0 for count in added)


def test_what_one_tick_cannot_tell_the_next_one_does(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    # SPEC: D6
    for table in ("second", "third"):
        site.server.put("shop", table, *({"_id": number} for number in range(40)))
    site.sync()
    monkeypatch.setattr(reports, "CHANGES_SECONDS", 0.0)
    memory, told = Memory(), []
    for _ in range(3):
        found = events(site, memory, 1000.0, "first", "second", "third")
        memory = Memory.read(memory.text())
        told.append([event.asset_key.path[-1] for event in found if "rows_written" in event.metadata])
    assert told == [["first"], ["second"], ["third"]]
    assert events(site, memory, 1000.0, "first", "second", "third") == []


@pytest.fixture
def loaded(warehouse: str) -> WarpConfig:
    """Two tables of a stream, loaded into PostgreSQL."""
    name = uuid.uuid4().hex
    for table in ("orders", "users"):
        MemoryServer.named(name).put("shop", table, *({"_id": number, "at": MAY} for number in range(40)))
    config = WarpConfig.model_validate(
        {
            "source": {"type": "memory", "server": name},
            "destination": {"type": "postgresql", "connection_string": warehouse},
            "schemas": [{"name": "shop"}],
        }
    )
    WarpRunner(config).run_once()
    return config


def reporter(config: WarpConfig, destination: Destination, instance: dg.DagsterInstance, *names: str) -> Reporter:
    tables = {name: effective(config, "shop", name) for name in names}
    return Reporter("shop", tables, MemorySource(MemorySourceOptions()), destination, instance)


@pytest.mark.servers
def test_a_table_that_somebody_locked_is_reported_without_a_look_at_it(loaded: WarpConfig, warehouse: str) -> None:
    # SPEC: D6 M3
    with (
        closing(open_destination(impatient(loaded))) as destination,
        psycopg.connect(warehouse) as locker,
        dg.DagsterInstance.ephemeral() as instance,
    ):
        locker.execute("lock table shop.users in access exclusive mode")
        found = reporter(loaded, destination, instance, "users").events(Memory(), 1000.0)
        assert destination.earliest(TableId("shop", "users"), "at") is None
        assert destination.earliest(TableId("shop", "orders"), "at") == MAY
    assert written(found) == [40]
    assert "preview" not in found[-1].metadata
    assert found[-1].metadata["dagster/table_name"].value == "shop.users"


@pytest.mark.servers
def test_slices_that_one_tick_cannot_tell_the_next_one_does(
    loaded: WarpConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    # SPEC: D7
    monkeypatch.setattr(reports, "MOST_EVENTS", 8)
    memory, told = Memory(), []
    with closing(open_destination(loaded)) as destination, dg.DagsterInstance.ephemeral() as instance:
        for _ in range(3):
            found = reporter(loaded, destination, instance, "orders", "users").events(memory, 1000.0)
            memory = Memory.read(memory.text())
            told.append([(event.asset_key.path[-1], event.partition) for event in found if event.partition])
    assert [len(partitions) for partitions in told] == [8, 8, 0]
    assert len({*told[0], *told[1]}) == 16
