"""The whole of it under ``dagster dev``, which is started once for all of these tests."""

from __future__ import annotations

import itertools
import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo import MongoClient

from tests.dagster.development import ASSET_JOB, Development, eventually
from warp_resources.connectors.postgresql.embedded import EmbeddedPostgres

pytestmark = [pytest.mark.servers, pytest.mark.timeout(400)]

TABLES = ("users", "Odd Name", "x/y")
SLICES = [f"slice-{number:02d}" for number in range(8)]
DAYS = 5
numbers = itertools.count(1_000_000)


@pytest.fixture(scope="module")
def site(
    mongo_client: MongoClient[dict[str, Any]],
    mongo_uri: str,
    postgres_server: EmbeddedPostgres,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Development]:
    prefix = f"dev_{uuid.uuid4().hex[:8]}"
    made = Development(
        mongo_client, mongo_uri, prefix, postgres_server.create_database(prefix), tmp_path_factory.mktemp("dagster")
    )
    for table in TABLES:
        made.shop[table].insert_many([{"_id": number, "n": number} for number in range(2000)])
    newest = datetime.now(UTC) - timedelta(hours=1)
    made.crm["visits"].insert_many(
        [{"_id": number, "n": number, "updated_at": newest - timedelta(days=number % DAYS)} for number in range(50)]
    )
    made.start()
    yield made
    made.stop()
    postgres_server.drop_database(prefix)
    for database in (made.shop, made.crm):
        mongo_client.drop_database(database.name)


def arrives(site: Development, table: str = "users") -> bool:
    """Whether a row written now gets to the warehouse."""
    number = next(numbers)
    site.shop[table].insert_one({"_id": number, "n": number})
    return bool(eventually(lambda: site.rows(f'select 1 from shop."{table}" where _id = %s', number)))


def is_equal(site: Development, table: str) -> bool:
    """Whether both sides of a table have the same keys and values, each once."""
    wanted = sorted((row["_id"], row["n"]) for row in site.shop[table].find({}, {"n": 1}))
    return wanted == site.rows(f'select _id, n from shop."{table}" order by _id')


@pytest.mark.parametrize("table", TABLES)
def test_tables_are_partitioned_assets_and_stream(site: Development, table: str) -> None:
    # SPEC: D1 D2 D3 D7 M4
    asset = site.assets()["shop", table]
    assert asset["isPartitioned"]
    assert (asset["groupName"], asset["partitionKeys"]) == ("shop", SLICES)
    assert set(asset["kinds"]) == {"mongodb", "postgresql"}
    assert arrives(site, table)
    eventually(lambda: is_equal(site, table))


def test_the_first_load_is_reported_by_slice_and_the_stream_without_a_partition(site: Development) -> None:
    # SPEC: D6 D7
    found = eventually(lambda: [its for its in site.events("shop", "x/y") if not its["runId"]])
    eventually(lambda: {its["partition"] for its in site.events("shop", "x/y")} >= {*SLICES, None})
    assert any(its["metadata"].get("rows_written") for its in site.events("shop", "x/y")), found


def test_the_schedule_syncs_the_batch_tables(site: Development) -> None:
    # SPEC: D3 M2
    eventually(lambda: len(site.rows("select 1 from crm.visits")) == 50, 100)
    query = '{ runsOrError(filter: {pipelineName: "sync_crm"}) { ... on Runs { results { tags { key value } } } } }'
    runs = site.graphql(query)["runsOrError"]["results"]
    tags = [{tag["key"]: tag["value"] for tag in run["tags"]} for run in runs]
    scheduled = [its for its in tags if its.get("dagster/schedule_name") == "sync_crm_schedule"]
    assert scheduled
    assert {its["warp/mode"] for its in scheduled} == {"incremental"}
    eventually(lambda: site.events("crm", "visits"))


def test_backfills_fill_windows_and_resync_slices_while_the_stream_goes_on(site: Development) -> None:
    # SPEC: D7 M5
    eventually(lambda: len(site.rows("select 1 from crm.visits")) == 50, 100)
    windows = eventually(lambda: site.assets()["crm", "visits"]["partitionKeys"])
    assert windows[0] == "none"
    assert windows[-1] == f"{datetime.now(UTC):%Y-%m-%d}"
    assert arrives(site)
    site.rows("delete from crm.visits where _id < 25 returning 1")
    site.rows("update shop.users set n = -1 where _id < 50 returning 1")
    site.rows("insert into shop.users (_id, n, _warp_sequence, _warp_synced_at) values (-7, 0, 1, now()) returning 1")
    stop = threading.Event()
    writer = threading.Thread(target=_write_until, args=(site, stop))
    writer.start()
    try:
        backfills = [site.backfill(("shop", "users"), SLICES), site.backfill(("crm", "visits"), windows[-1 - DAYS :])]
        slices, ranges = (eventually(lambda its=its: site.backfill_runs(its), 200) for its in backfills)
    finally:
        stop.set()
        writer.join()
    assert slices == ["SUCCESS"] * 8
    assert ranges == ["SUCCESS"]
    assert len(site.rows("select 1 from crm.visits")) == 50
    eventually(lambda: is_equal(site, "users"))
    assert {its["partition"] for its in site.events("crm", "visits")} >= set(windows[-DAYS:])


def _write_until(site: Development, stop: threading.Event) -> None:
    while not stop.wait(0.02):
        site.shop["users"].update_one({"_id": 1999}, {"$inc": {"n": 1}})
        site.shop["users"].insert_one({"_id": next(numbers), "n": 0})


def test_the_resync_job_mends_a_spoiled_table(site: Development) -> None:
    # SPEC: D3 M5
    assert arrives(site, "x/y")
    site.rows('update shop."x/y" set n = -1 where _id < 50 returning 1')
    assert site.run("resync_shop", {"tables": ["x/y"]}) == "SUCCESS"
    eventually(lambda: is_equal(site, "x/y"))


def test_the_sensor_switched_off_stops_the_stream_and_on_resumes_it(site: Development) -> None:
    # SPEC: D3 M6
    # FAULTS: 29
    assert arrives(site)
    before = eventually(site.drainer)
    site.switch("changes_shop", on=False)
    try:
        eventually(lambda: site.drainer() is None, 30)
        missed = next(numbers)
        site.shop["users"].insert_one({"_id": missed, "n": 0})
    finally:
        site.switch("changes_shop", on=True)
    assert arrives(site)
    assert site.drainer() != before
    assert site.rows("select 1 from shop.users where _id = %s", missed)
    eventually(lambda: is_equal(site, "users"))


def test_a_table_created_later_streams_at_once_and_becomes_an_asset(site: Development) -> None:
    # SPEC: D1
    # FAULTS: 29
    assert arrives(site)
    before = eventually(site.drainer)
    assert arrives(site, "later")
    eventually(lambda: ("shop", "later") in site.assets(), 60)
    # The reload replaced the process whose child the drainer was, and left the stream alone.
    assert arrives(site)
    assert site.drainer() == before


def test_the_checks_of_a_streaming_table_pass(site: Development) -> None:
    # SPEC: D4 R5
    assert arrives(site, "Odd Name")
    key = {"path": ["shop", "Odd Name"]}
    names = ("rows_match", "lag", "history", "dead_letters")
    chosen = [{"assetKey": key, "name": name} for name in names]
    assert site.run(ASSET_JOB, assetSelection=[], assetCheckSelection=chosen) == "SUCCESS"
    query = """query($key: AssetKeyInput!, $name: String!) {
        assetCheckExecutions(assetKey: $key, checkName: $name, limit: 1) { status } }"""
    found = {name: site.graphql(query, key=key, name=name)["assetCheckExecutions"][0]["status"] for name in names}
    assert found == dict.fromkeys(names, "SUCCEEDED")


def test_a_failed_run_is_in_the_error_log(site: Development) -> None:
    # SPEC: D3
    assert site.run("sync_crm", {"since": "yesterday"}) == "FAILURE"
    query = (
        "select message from cartridge_warp_metadata.error_log where error_type = 'run_failed' and schema_name = 'crm'"
    )
    [(message,), *_] = eventually(lambda: site.rows(query))
    assert "sync_crm" in message
