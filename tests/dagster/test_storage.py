"""Where Dagster keeps its own records is chosen by the environment."""

from __future__ import annotations

import shutil
from pathlib import Path

import dagster as dg
import psycopg
import pytest
import yaml
from dagster._core.instance import InstanceRef

ROOT = Path(__file__).parents[2]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copy(ROOT / "dagster.yaml", tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.delenv("DAGSTER_POSTGRES_URL", raising=False)
    return tmp_path


def instance_of(home: Path) -> dg.DagsterInstance:
    return dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(home)))


def test_by_default_it_is_sqlite_below_the_home(home: Path) -> None:
    with instance_of(home) as instance:
        instance.add_dynamic_partitions("w", ["a"])
    assert list((home / "history").iterdir())
    with instance_of(home) as again:
        assert list(again.get_dynamic_partitions("w")) == ["a"]


@pytest.mark.servers
def test_a_url_in_the_environment_makes_it_postgresql(
    home: Path, warehouse: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", warehouse)
    with instance_of(home) as instance:
        instance.add_dynamic_partitions("w", ["a"])
        key = dg.AssetKey(["shop", "users"])
        # The first event is where a driver that does not fit its SQLAlchemy fails.
        instance.report_runless_asset_event(dg.AssetMaterialization(key, partition="a"))
        assert len(instance.fetch_materializations(key, limit=1).records) == 1
    with psycopg.connect(warehouse) as connection:
        assert connection.execute("select partition from dynamic_partitions").fetchall() == [("a",)]
    assert not (home / "history").exists()


def test_the_settings_that_streams_depend_on(home: Path) -> None:
    settings = yaml.safe_load((ROOT / "dagster.yaml").read_text())
    assert settings["sensors"]["use_threads"] is True
    assert settings["telemetry"] == {"enabled": False}
    with instance_of(home) as instance:
        assert instance.global_op_concurrency_default_limit == 2
        assert type(instance.run_coordinator).__name__ == "QueuedRunCoordinator"


def test_dagster_dev_finds_the_code_location() -> None:
    # SPEC: D1
    workspace = yaml.safe_load((ROOT / "workspace.yaml").read_text())
    assert workspace == {"load_from": [{"python_module": "warp_assets.definitions"}]}
