"""What the code location holds, for a configuration and without one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from tests.dagster.configurations import LOADING_SECONDS, Site
from warp_assets.tables import SLICE_POOL

ROOT = Path(__file__).parents[2]
STRANGE = ["users", "Odd Name", "x/y", "config"]


@pytest.fixture
def site() -> Site:
    made = Site(
        {
            "name": "My Shop",
            "tables": {
                "users": {"owners": ["team:data"], "tags": {"tier": "gold (1)", "é": "x", "": "y", "a/é": "z"}},
                "wide": {"partitions": {"by": "key", "slices": 16}},
            },
        },
        {
            "name": "crm",
            "mode": "batch",
            "schedule": "*/5 * * * *",
            "tables": {"visits": {"partitions": {"by": "time", "every": "month", "start": "2024-01-01"}}},
        },
    )
    for name in STRANGE:
        made.server.create_table("My Shop", name)
    return made


def test_every_table_is_an_asset_whatever_its_name(site: Site) -> None:
    # SPEC: D1 D2 M4
    found = {spec.key: spec for spec in site.definitions().resolve_all_asset_specs()}
    expected = {*(("My Shop", name) for name in (*STRANGE, "first", "wide")), ("crm", "first"), ("crm", "visits")}
    assert {tuple(key.path) for key in found} == expected
    users = found[dg.AssetKey(["My Shop", "users"])]
    assert users.group_name is not None
    assert users.group_name.startswith("My_Shop_")
    assert users.kinds == {"memory"}
    assert list(users.owners) == ["team:data"]
    # Names of tags in which Dagster has no character would stop the whole code location.
    assert {name: value for name, value in users.tags.items() if not name.startswith("dagster/")} == {"tier": "gold__1"}


def test_stream_tables_have_slices_and_batch_tables_windows(site: Site) -> None:
    # SPEC: D7 M2
    found = {spec.key: spec.partitions_def for spec in site.definitions().resolve_all_asset_specs()}
    users, wide = found[dg.AssetKey(["My Shop", "users"])], found[dg.AssetKey(["My Shop", "wide"])]
    assert users is not None
    assert list(users.get_partition_keys()) == [f"slice-{number:02d}" for number in range(8)]
    assert wide is not None
    assert len(wide.get_partition_keys()) == 16
    assert found[dg.AssetKey(["crm", "first"])] == dg.DynamicPartitionsDefinition(name="crm_day")
    assert found[dg.AssetKey(["crm", "visits"])] == dg.DynamicPartitionsDefinition(name="crm_month_from_20240101")


def test_one_definition_has_one_backfill_policy(site: Site) -> None:
    # SPEC: D7
    definitions = site.definitions()
    policies = {
        (next(iter(its.keys)).path[0], len(its.keys)): its.backfill_policy
        for its in definitions.assets or ()
        if isinstance(its, dg.AssetsDefinition)
    }
    assert policies[("My Shop", 5)] == policies[("My Shop", 1)] == dg.BackfillPolicy.multi_run(1)
    assert policies[("crm", 1)] == dg.BackfillPolicy.single_run()


def test_jobs_schedule_sensors_and_checks_are_there_and_running(site: Site) -> None:
    # SPEC: D3 D4
    repository = site.definitions().get_repository_def()
    names = set(repository.job_names)
    assert {"sync_crm", "resync_crm"} <= names
    assert sum(name.startswith("sync_My_Shop_") for name in names) == 1
    [schedule] = repository.schedule_defs
    assert (schedule.name, schedule.cron_schedule) == ("sync_crm_schedule", "*/5 * * * *")
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING
    sensors = {sensor.name: sensor.default_status for sensor in repository.sensor_defs}
    assert {"changes_crm", "report_failures"} <= set(sensors)
    assert set(sensors.values()) == {dg.DefaultSensorStatus.RUNNING}
    keys = repository.asset_graph.asset_check_keys
    schemas = ("crm", "My Shop")
    checks = [{its.name for its in keys if its.asset_key.path == [schema, "first"]} for schema in schemas]
    batch = {"rows_match", "lag", "dead_letters"}
    assert checks == [batch, batch | {"history"}]


def test_slices_are_read_in_a_pool(site: Site) -> None:
    # SPEC: M5
    ops = [its.op for its in site.definitions().assets or () if isinstance(its, dg.AssetsDefinition)]
    assert {op.name: op.pool for op in ops if op.name == "crm_batch"} == {"crm_batch": None}
    assert {op.pool for op in ops if not op.name.startswith("crm")} == {SLICE_POOL}


def test_single_mode_serves_one_schema() -> None:
    # SPEC: M3 D1
    site = Site({"name": "shop"}, {"name": "crm"}, mode="single", single_schema_name="crm")
    assert {spec.key.path[0] for spec in site.definitions().resolve_all_asset_specs()} == {"crm"}


def test_an_unreachable_source_is_a_warning() -> None:
    # SPEC: D1
    site = Site({"name": "shop", "tables": {"users": {}}, "table_whitelist": ["users", "orders", "log_*"]})
    from warp_assets.definitions import definitions

    config = site.config.model_copy(
        update={"source": site.config.source.model_copy(update={"type": "tests.dagster.configurations:DeafSource"})}
    )
    found = {tuple(spec.key.path) for spec in definitions(config).resolve_all_asset_specs()}
    assert found == {("shop", "users"), ("shop", "orders")}


def test_loading_a_driver_takes_nothing_of_the_time_for_discovery(monkeypatch: pytest.MonkeyPatch) -> None:
    # SPEC: D1 On a busy machine all assets were gone after a reload.
    from warp_assets.definitions import definitions

    site = Site({"name": "shop"})
    late = site.config.source.model_copy(update={"type": "tests.dagster.configurations:LateSource"})
    monkeypatch.setattr("warp_resources.dagster_bridge.catalog.DISCOVERY_SECONDS", LOADING_SECONDS / 2)
    found = definitions(site.config.model_copy(update={"source": late})).resolve_all_asset_specs()
    assert {tuple(spec.key.path) for spec in found} == {("shop", "first")}


def test_without_a_configuration_it_loads_and_says_how_to_make_one(tmp_path: Path) -> None:
    # SPEC: D1
    code = (
        "from warp_assets.definitions import defs\n"
        "[spec] = defs.resolve_all_asset_specs()\n"
        "print(spec.key.to_user_string(), spec.description)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("cartridge_warp/no_configuration")
    assert "cartridge-warp init" in done.stdout
    assert "Traceback" not in done.stderr
