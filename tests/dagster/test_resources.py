"""What an asset of a user's own can take from the configuration."""

from __future__ import annotations

import uuid
from pathlib import Path

import dagster as dg
import pytest
import yaml

from warp_assets.definitions import definitions
from warp_resources.config import WarpConfig
from warp_resources.connectors.interfaces import SourceScope
from warp_resources.connectors.memory.server import MemoryServer
from warp_resources.dagster_bridge.resources import DestinationResource, SourceResource, StateResource
from warp_resources.model.tables import TableId

USERS = TableId("shop", "users")


@dg.asset(deps=[dg.AssetKey(["shop", "users"])])
def counted(source: SourceResource, destination: DestinationResource, state: StateResource) -> dict[str, object]:
    """What each of the three says."""
    with source.open() as origin, destination.open() as warehouse, state.open() as store:
        [table] = origin.tables(SourceScope("shop", "shop"))
        return {
            "read": table.row_estimate,
            "stored": warehouse.row_count(USERS),
            "streamer": store.lease_holder("stream:shop"),
        }


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    name = uuid.uuid4().hex
    MemoryServer.named(name).put("shop", "users", *({"_id": number} for number in range(3)))
    settings = {
        "source": {"type": "memory", "server": name},
        "destination": {"type": "memory", "store": name},
        "schemas": [{"name": "shop"}],
    }
    file = tmp_path / "warp.yaml"
    file.write_text(yaml.safe_dump(settings))
    return file


def test_an_asset_of_a_users_own_takes_source_destination_and_state(
    config_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # SPEC: D5
    monkeypatch.setenv("CARTRIDGE_WARP_CONFIG", str(config_file))
    config = WarpConfig.from_file(config_file)
    ours = definitions(config)
    assert set(ours.resources or {}) == {"source", "destination", "state"}
    merged = dg.Definitions.merge(ours, dg.Definitions(assets=[counted]))
    with dg.DagsterInstance.ephemeral() as instance:
        assert merged.resolve_job_def("sync_shop").execute_in_process(instance=instance).success
        job = merged.resolve_implicit_global_asset_job_def()
        done = job.execute_in_process(instance=instance, asset_selection=[counted.key])
    assert done.output_for_node("counted") == {"read": 3, "stored": 3, "streamer": None}


def test_a_resource_can_be_told_its_file(config_file: Path) -> None:
    # SPEC: D5
    with DestinationResource(config_file=str(config_file)).open() as warehouse:
        assert warehouse.row_count(USERS) == 0
