"""Materialising table assets, and running the jobs of a schema, in the process of the test."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from tests.dagster.configurations import Site
from warp_resources.dagster_bridge.windows import UNMARKED
from warp_resources.model.tables import TableId
from warp_resources.pipeline.engine import Unit, open_engine
from warp_resources.pipeline.snapshot import open_generation

SLICES = [f"slice-{number:02d}" for number in range(8)]
MAY = datetime(2024, 5, 1, tzinfo=UTC)
BATCH = {"name": "crm", "mode": "batch", "tables": {"visits": {"partitions": {"by": "time", "start": "2024-05-01"}}}}


def visit(number: int, day: int | None) -> dict[str, Any]:
    return {"_id": number, "n": number, "updated_at": None if day is None else MAY + timedelta(days=day - 1, hours=1)}


@pytest.fixture
def shop() -> Site:
    """A stream schema whose two tables are loaded."""
    site = Site({"name": "shop"})
    for table in ("users", "orders"):
        site.server.put("shop", table, *({"_id": number, "n": number} for number in range(100)))
    site.sync()
    return site


@pytest.fixture
def crm() -> Site:
    """A batch schema, synced once by its job; the markers of its rows are in the first week of May 2024."""
    site = Site(BATCH)
    site.server.put("crm", "visits", *(visit(number, number) for number in range(1, 8)), visit(100, None))
    assert site.run_job("sync_crm").success
    return site


def spoil(site: Site, schema: str, table: str) -> None:
    """A wrong value, and a row that the source does not have."""
    target = TableId(schema, table)
    with site.destination.store.transaction() as draft:
        rows = draft.table(target).rows
        first, last = next(iter(rows)), list(rows)[-1]
        stored = rows[first]
        rows[first] = type(stored)({**stored.values, "n": -1}, stored.sequence, stored.synced_at)
        ghost = {**rows[last].values, "_id": 12345, "n": -2}
        rows["12345"] = type(stored)(ghost, stored.sequence, stored.synced_at)


def spoiled(site: Site, schema: str, table: str) -> list[object]:
    return sorted(row["n"] for row in site.rows(schema, table).values() if row["n"] in (-1, -2))


def test_the_slices_of_a_backfill_are_one_resync(shop: Site) -> None:
    # SPEC: D7 M5 D4
    spoil(shop, "shop", "users")
    assert spoiled(shop, "shop", "users") == [-2, -1]
    for key in SLICES:
        done = shop.materialise("shop", "users", key, tags={"warp/full_resync": "false"})
        assert done.success
        assert shop.instance.get_run_by_id(done.run_id).tags["warp/mode"] == "resync"
    # Each run was a reading of its own: the wrong value is mended, and no slice alone removes a row.
    assert spoiled(shop, "shop", "users") == [-2]
    assert shop.partitions("shop", "users") == SLICES
    assert shop.materialise("shop", "users", *SLICES).success
    assert spoiled(shop, "shop", "users") == []


def test_only_the_last_slice_of_a_backfill_is_followed_by_a_look_at_the_whole_table(shop: Site) -> None:
    # SPEC: M5 D4
    with open_engine(Unit(shop.config, "shop", "stream"), threading.Event()) as engine:
        open_generation(engine, engine.table("users"), "backfill-one")
    looked = []
    for key in SLICES:
        done = shop.materialise("shop", "users", key, tags={"dagster/backfill": "one"})
        assert done.success
        looked.append({its.check_name for its in done.get_asset_check_evaluations()})
    assert all("dead_letters" in names for names in looked)
    assert ["rows_match" in names for names in looked] == [False] * 7 + [True]


def test_the_tag_full_resync_reads_all_whatever_is_selected(shop: Site) -> None:
    # SPEC: D4 M5
    spoil(shop, "shop", "users")
    done = shop.materialise("shop", "users", "slice-03", tags={"warp/full_resync": "true"})
    assert done.success
    assert spoiled(shop, "shop", "users") == []
    assert shop.instance.get_run_by_id(done.run_id).tags["warp/full_resync"] == "true"


def test_materialization_metadata_tells_what_was_done_and_what_there_is(shop: Site) -> None:
    # SPEC: D6
    assert shop.materialise("shop", "users", *SLICES).success
    found = shop.metadata("shop", "users")
    assert (found["rows_written"], found["rows_deleted"], found["rows_rejected"]) == (100, 0, 0)
    assert found["bytes"] > 0
    assert found["lag_seconds"] >= 0
    assert found["position"]
    assert found["dagster/row_count"] == 100
    assert found["dagster/table_name"] == "shop.users"
    assert {column.name for column in found["dagster/column_schema"].columns} == {"_id", "n"}
    assert found["preview"].startswith("| \\_id")
    assert found["schema_versions"].splitlines()[2:]
    assert "| n |" in found["schema_versions"]
    assert found["trend"].startswith("![rows written, last 1: 100](data:image/svg+xml;base64,")


def test_a_window_upserts_what_lies_in_it_and_leaves_the_marker(crm: Site) -> None:
    # SPEC: D7
    marker = crm.destination.table_states("crm")["visits"].position
    for number in (2, 3, 5, 100):
        crm.server.put("crm", "visits", {**visit(number, None if number == 100 else number), "n": -1})
    crm.server.delete("crm", "visits", 4)
    done = crm.materialise("crm", "visits", "2024-05-02", "2024-05-03", "2024-05-04")
    assert done.success
    changed = sorted(key for key, row in crm.rows("crm", "visits").items() if row["n"] == -1)
    assert changed == [2, 3]
    assert 4 in crm.rows("crm", "visits")
    assert crm.destination.table_states("crm")["visits"].position == marker
    assert crm.instance.get_run_by_id(done.run_id).tags["warp/mode"] == "window"
    assert sorted(crm.partitions("crm", "visits")[-3:], key=str) == ["2024-05-02", "2024-05-03", "2024-05-04"]
    assert crm.materialise("crm", "visits", UNMARKED).success
    assert crm.rows("crm", "visits")[100]["n"] == -1
    assert crm.rows("crm", "visits")[5]["n"] == 5


def test_the_first_sync_fills_every_window_and_later_ones_what_they_touch(crm: Site) -> None:
    # SPEC: D3 D7
    windows = list(crm.instance.get_dynamic_partitions("crm_day_from_20240501"))
    assert windows[:2] == [UNMARKED, "2024-05-01"]
    assert windows[-1] >= datetime.now(UTC).strftime("%Y-%m-%d")
    first = crm.partitions("crm", "visits")
    assert first == windows[-1000:]
    crm.server.put("crm", "visits", visit(9, 9), visit(10, 10))
    done = crm.run_job("sync_crm")
    assert done.success
    assert crm.partitions("crm", "visits")[len(first) :] == ["2024-05-07", "2024-05-08", "2024-05-09", "2024-05-10"]
    assert crm.metadata("crm", "visits")["rows_written"] == 2


def test_a_window_is_one_of_the_column_that_the_partitions_name() -> None:
    # SPEC: D7
    column = {"by": "time", "every": "month", "column": "created_at", "start": "2024-05-01"}
    site = Site({"name": "crm", "mode": "batch", "tables": {"visits": {"partitions": column}}})
    for number, (created, updated) in {1: (2, 9), 2: (40, 2)}.items():
        site.server.put("crm", "visits", {**visit(number, updated), "created_at": MAY + timedelta(days=created - 1)})
    assert site.run_job("sync_crm").success
    for number, (created, updated) in {1: (2, 9), 2: (40, 2)}.items():
        changed = {**visit(number, updated), "n": -1, "created_at": MAY + timedelta(days=created - 1)}
        site.server.put("crm", "visits", changed)
    assert site.materialise("crm", "visits", "2024-05-01").success
    assert {key: row["n"] for key, row in site.rows("crm", "visits").items()} == {1: -1, 2: 2}
    # What a sync brings is known by its marker, which says nothing of these windows.
    site.server.put("crm", "visits", {**visit(3, 20), "created_at": MAY})
    assert site.run_job("sync_crm").success
    assert site.partitions("crm", "visits")[-1] is None


def test_the_partitions_are_the_whole_table_also_where_its_plan_has_more_slices(shop: Site) -> None:
    # SPEC: D7 M5
    users = TableId("shop", "users")
    with open_engine(Unit(shop.config, "shop", "stream"), threading.Event()) as engine:
        shop.destination.save_plan(users, engine.source.plan(engine.scope, "users", 16))
    assert len(shop.destination.table_plan(users)) == 16
    with shop.destination.store.transaction() as draft:
        rows = draft.table(users).rows
        for key, stored in rows.items():
            rows[key] = replace(stored, values={**stored.values, "n": -1})
    for number, key in enumerate(SLICES, 1):
        assert shop.materialise("shop", "users", key).success
        left = sum(row["n"] == -1 for row in shop.rows("shop", "users").values())
        assert left == 100 - sum(1 for ordinal in range(100) if ordinal < 100 * number // 8), key
    spoil(shop, "shop", "users")
    assert shop.materialise("shop", "users", *SLICES).success
    assert spoiled(shop, "shop", "users") == []
    assert shop.metadata("shop", "users")["rows_written"] == 100


def test_a_sync_without_news_is_an_observation(crm: Site) -> None:
    # SPEC: D3
    before = crm.partitions("crm", "visits")
    assert crm.run_job("sync_crm").success
    assert crm.partitions("crm", "visits") == before
    [observed] = crm.instance.fetch_observations(dg.AssetKey(["crm", "visits"]), limit=1).records
    assert observed.asset_observation is not None
    assert set(observed.asset_observation.metadata) == {"lag_seconds", "position"}


def test_batch_tables_without_a_marker_have_no_position_of_the_stream() -> None:
    # SPEC: D3 M2
    site = Site({"name": "shop", "tables": {"visits": {"mode": "batch"}}})
    site.server.put("shop", "users", {"_id": 1})
    site.server.put("shop", "visits", {"_id": 1})
    assert site.run_job("sync_shop").success
    site.server.put("shop", "users", {"_id": 2})
    site.server.put("shop", "visits", {"_id": 2})
    done = site.run_job("sync_shop")
    assert done.success
    key = dg.AssetKey(["shop", "visits"])
    records = site.instance.fetch_materializations(key, limit=100).records
    [mine] = [record for record in records if record.run_id == done.run_id]
    assert mine.partition_key == UNMARKED
    assert site.metadata("shop", "visits")["position"] is None
    assert site.metadata("shop", "users")["position"]


def test_the_sync_job_takes_a_window_of_its_own(crm: Site) -> None:
    # SPEC: D3 D4
    for number in (1, 2, 3):
        crm.server.put("crm", "visits", {**visit(number, number), "n": -1})
    done = crm.run_job("sync_crm", tables=["visits"], since="2024-05-02", until="2024-05-03T00:00:00+00:00")
    assert done.success
    assert [key for key, row in crm.rows("crm", "visits").items() if row["n"] == -1] == [2]
    assert crm.partitions("crm", "visits")[-1] == "2024-05-02"
    assert crm.instance.get_run_by_id(done.run_id).tags["warp/mode"] == "window"


@pytest.mark.parametrize(
    ("job", "config"),
    [
        ("sync_crm", {"since": "yesterday"}),
        ("sync_crm", {"since": "2024-05-02", "until": "2024-05-01"}),
        ("sync_crm", {"since": "2024-05-02", "full_resync": True}),
        ("sync_crm", {"tables": ["visit"]}),
        ("resync_crm", {"tables": ["visit"]}),
        ("resync_crm", {"tables": ["visits"], "slices": ["slice-00"]}),
        ("sync_shop", {"tables": ["users"], "since": "2024-05-02"}),
        ("resync_shop", {"slices": ["slice_03"]}),
        ("resync_shop", {"tables": ["users"], "slices": ["slice-08"]}),
    ],
    ids=str,
)
def test_a_job_refuses_what_means_nothing(job: str, config: dict[str, Any]) -> None:
    # SPEC: D3
    site = Site({"name": "shop"}, BATCH)
    site.server.put("shop", "users", {"_id": 1})
    site.server.put("crm", "visits", visit(1, 1))
    site.sync()
    done = site.run_job(job, **config)
    assert not done.success
    failure = next(event.step_failure_data for event in done.all_events if event.is_step_failure)
    assert failure.error is not None
    assert failure.error.cause is not None
    assert failure.error.cause.cls_name == "ConfigurationError"


def test_a_job_refuses_a_table_that_is_not_listed() -> None:
    # SPEC: D3
    site = Site({**BATCH, "table_whitelist": ["visits"]})
    assert not site.run_job("sync_crm", tables=["first"]).success


def test_the_resync_job_mends_batch_and_stream_tables(shop: Site, crm: Site) -> None:
    # SPEC: D3 M5
    spoil(shop, "shop", "users")
    spoil(crm, "crm", "visits")
    done = shop.run_job("resync_shop", tables=["users"])
    assert done.success
    assert crm.run_job("resync_crm").success
    assert spoiled(shop, "shop", "users") == spoiled(crm, "crm", "visits") == []
    assert shop.partitions("shop", "users") == SLICES
    assert shop.partitions("shop", "orders") == []
    tags = shop.instance.get_run_by_id(done.run_id).tags
    assert (tags["warp/mode"], tags["warp/full_resync"]) == ("resync", "true")


def test_a_resync_tells_how_much_it_read_and_how_fast(shop: Site) -> None:
    # SPEC: L4 D6
    done = shop.run_job("resync_shop", tables=["users"])
    assert done.success
    metadata = shop.metadata("shop", "users")
    assert metadata["rows_read"] == 100
    assert metadata["rows_per_second"] > 0
    lines = [entry.user_message for entry in shop.instance.all_logs(done.run_id)]
    assert any(line.startswith("shop.users: 100 of about 100 rows, 8 of 8 slices") for line in lines)
    shop.materialise("shop", "users", "slice-00")
    assert shop.metadata("shop", "users")["rows_read"] == 12


def test_the_sync_job_streams_once_where_nobody_streams(shop: Site) -> None:
    # SPEC: D3
    shop.server.put("shop", "users", {"_id": 1, "n": "changed"})
    assert shop.run_job("sync_shop").success
    assert shop.rows("shop", "users")[1]["n"] == "changed"
    assert shop.metadata("shop", "users")["rows_written"] == 1
    assert shop.partitions("shop", "users") == [None]


def test_the_schedule_does_not_stream_for_a_sensor_that_is_off(shop: Site) -> None:
    # SPEC: D3
    shop.server.put("shop", "users", {"_id": 1, "n": "changed"})
    assert shop.run_job("sync_shop", tags={"dagster/schedule_name": "sync_shop_schedule"}).success
    assert shop.rows("shop", "users")[1]["n"] == 1


def test_a_failing_table_fails_alone(crm: Site) -> None:
    # SPEC: M3
    crm.server.create_table("crm", "keyless", key=("a",))
    crm.server.put("crm", "keyless", {"a": 1, "updated_at": MAY})
    assert crm.run_job("sync_crm").success
    # The same table with another key: nothing can be written to it any more.
    crm.server.drop_table("crm", "keyless")
    crm.server.create_table("crm", "keyless", key=("b",))
    crm.server.put("crm", "keyless", {"b": 1, "updated_at": MAY + timedelta(days=30)})
    crm.server.put("crm", "visits", visit(11, 11))
    done = crm.run_job("sync_crm")
    assert not done.success
    assert 11 in crm.rows("crm", "visits")
    messages = [event.message or "" for event in done.all_events if event.is_step_failure]
    assert "another primary key" in str(done.failure_data_for_node("sync_crm_tables")) or messages
    errors = [logged.entry for logged in crm.destination.store.contents.errors]
    assert any(entry.table == TableId("crm", "keyless") and entry.severity == "error" for entry in errors)


def test_an_uncovered_table_says_what_to_do() -> None:
    # SPEC: M5
    site = Site({"name": "shop"})
    site.server.put("shop", "users", {"_id": 1, "n": 1})
    done = site.materialise("shop", "users", "slice-00")
    assert not done.success
    assert "does not cover" in str(done.failure_data_for_node("shop_stream"))
