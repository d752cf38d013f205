"""The commands that move data: once, until stopped, again, and from flags alone."""

from __future__ import annotations

import json
import signal
import urllib.error
import urllib.request
from typing import Any

import pytest

from tests.cli.conftest import Warp, execute, query, schemas_of, wait_for
from tests.fixtures.servers import MongoDatabase
from warp_resources.connectors.ports import free_port

pytestmark = pytest.mark.servers


def count(uri: str, table: str) -> int:
    return int(query(uri, f'select count(*) from shop."{table}"')[0][0])


def loaded_tables(uri: str) -> int:
    """How many tables have their first load behind them."""
    if not {"shop", "cartridge_warp_metadata"} <= schemas_of(uri):
        return 0
    return int(query(uri, "select count(*) from cartridge_warp_metadata.sync_markers where is_loaded")[0][0])


def test_run_once_replicates_and_ends_with_0(shop: Warp, warehouse: str) -> None:
    # SPEC: L2, L3, M4
    shop.ok("run", "--once")
    assert (count(warehouse, "users"), count(warehouse, "orders")) == (40, 25)


def test_flags_alone_are_enough(warp: Warp, shop: Warp, mongo_db: MongoDatabase, warehouse: str) -> None:
    # SPEC: L1
    shop.config.unlink()
    head, _, options = mongo_db.uri.partition("/?")
    flags = ["--source", f"{head}/{mongo_db.name}?{options}", "--destination", warehouse]
    warp.environ["CARTRIDGE_WARP_MONITORING__PROMETHEUS__ENABLED"] = "false"
    child = warp.start("--mode", "single", *flags, "--schema", "shop")
    wait_for(lambda: loaded_tables(warehouse) == 3)
    child.send_signal(signal.SIGTERM)
    assert child.wait(10) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_run_streams_until_a_signal_ends_it_with_0(
    shop: Warp, mongo_db: MongoDatabase, warehouse: str, number: signal.Signals
) -> None:
    # SPEC: M6, L3
    child = shop.start("run")
    wait_for(lambda: loaded_tables(warehouse) == 2)
    mongo_db.database.users.insert_one({"_id": 1000, "name": "live"})
    wait_for(lambda: bool(query(warehouse, "select 1 from shop.users where _id = 1000")))
    assert shop.json("status", "--json")[0]["state"] == "active"
    child.send_signal(number)
    assert child.wait(10) == 0


def test_a_second_run_once_waits_then_says_who_holds_the_schema(shop: Warp, warehouse: str) -> None:
    # SPEC: L2, T8
    holder = shop.start("run")
    wait_for(lambda: loaded_tables(warehouse) == 2)
    text = shop.refused("run", "--once", code=1)
    assert f"process {holder.pid}" in text
    position = json.dumps(shop.json("markers", "show", "shop")["position"])
    assert f"process {holder.pid}" in shop.refused("markers", "set", "shop", position, "--yes", code=1)


def test_resync_mends_a_table_beside_its_running_stream(shop: Warp, warehouse: str) -> None:
    # SPEC: M5, L4
    child = shop.start("run")
    wait_for(lambda: loaded_tables(warehouse) == 2)
    execute(warehouse, "delete from shop.users where _id < 10", "update shop.users set name = 'spoiled'")
    done = shop.run("resync", "--table", "shop.users", "--slices", "3")
    assert done.returncode == 0, done.stderr
    assert "shop.users: 40 rows in" in done.stderr
    assert query(warehouse, "select count(*) from shop.users where name <> 'spoiled'") == [(40,)]
    assert "not cut into 3 but 1" in done.stderr
    assert child.poll() is None


def test_run_serves_metrics_while_its_port_is_free(shop: Warp, settings: dict[str, Any], warehouse: str) -> None:
    # SPEC: P1, L2
    port = free_port()
    settings["monitoring"] = {"prometheus": {"port": port}}
    shop.write(settings)
    first = shop.start("run")
    wait_for(lambda: _get(port, "/ready").startswith("ready"))
    wait_for(lambda: "cartridge_warp_records_processed_total{" in _get(port, "/metrics"))
    assert _get(port, "/health") == "live\n"
    second = shop.run("exporter")
    assert second.returncode == 1
    assert str(port) in second.stderr
    first.send_signal(signal.SIGTERM)
    assert first.wait(10) == 0


def test_the_exporter_says_itself_that_the_destination_is_gone(shop: Warp, settings: dict[str, Any]) -> None:
    # SPEC: P1, Z5
    port = free_port()
    settings["monitoring"] = {"prometheus": {"port": port}}
    settings["destination"]["connection_string"] = f"postgresql://me:s3cret@127.0.0.1:{free_port()}/x"
    shop.write(settings)
    shop.start("exporter")
    wait_for(lambda: bool(_get(port, "/health")))
    metrics = _get(port, "/metrics")
    assert 'role="destination"} 0.0' in metrics
    assert "cartridge_warp_sync_status{" in metrics
    assert "} -1.0" in metrics
    assert _get(port, "/ready") == ""
    assert "s3cret" not in metrics


def test_the_exporter_answers_in_time_where_the_source_does_not(shop: Warp, settings: dict[str, Any]) -> None:
    # SPEC: P1
    port = free_port()
    settings["monitoring"] = {"prometheus": {"port": port}}
    settings["source"]["connection_string"] = f"mongodb://127.0.0.1:{free_port()}/"
    settings["performance"]["connection_timeout"] = 60
    shop.write(settings)
    shop.start("exporter")
    wait_for(lambda: bool(_get(port, "/health")))
    wait_for(lambda: 'role="destination"} 1.0' in _get(port, "/metrics"))
    assert 'role="source"} 0.0' in _get(port, "/metrics")
    assert _get(port, "/ready") == ""


def _get(port: int, path: str) -> str:
    """The answer, within the ten seconds that Prometheus waits; nothing where it is an error."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return str(answer.read().decode())
    except urllib.error.URLError:
        return ""
