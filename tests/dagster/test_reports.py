"""What a sensor's tick reports of what others did, and what it remembers."""

from __future__ import annotations

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.dagster.configurations import Site
from warp_resources.config import effective
from warp_resources.connectors.memory.source import MemorySource, MemorySourceOptions
from warp_sensors.memory import Memory, difference
from warp_sensors.reports import SECONDS_BETWEEN, Reporter

COUNTS = st.tuples(*[st.integers(0, 1000)] * 4)


@pytest.fixture
def site() -> Site:
    made = Site({"name": "shop", "tables": {"first": {}}})
    made.server.put("shop", "first", *({"_id": number} for number in range(40)))
    made.sync()
    return made


def events(site: Site, memory: Memory, now: float) -> list[dg.AssetMaterialization]:
    tables = {"first": effective(site.config, "shop", "first")}
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
