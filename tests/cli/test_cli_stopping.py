"""A stop before the end is told from an end."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from tests.cli.conftest import Warp, query, schemas_of, wait_for
from tests.fixtures.servers import MongoDatabase

pytestmark = pytest.mark.servers

ROWS = 20_000


@pytest.mark.parametrize(("mode", "number"), [("stream", signal.SIGTERM), ("batch", signal.SIGINT)])
def test_a_pass_that_is_stopped_in_mid_load_ends_with_1_and_goes_on(
    shop: Warp, settings: dict[str, Any], mongo_db: MongoDatabase, warehouse: str, mode: str, number: signal.Signals
) -> None:
    # SPEC: M6, L3, T3
    mongo_db.database.events.insert_many([{"_id": n} for n in range(ROWS)])
    settings["schemas"] = [{"name": "shop", "mode": mode, "table_whitelist": ["events"], "full_load_batch_size": 1}]
    shop.write(settings)
    child = shop.start("run", "--once")
    wait_for(lambda: stored(warehouse) > 0)
    child.send_signal(number)
    text = child.communicate(timeout=10)[0]
    assert child.returncode == 1
    assert "Interrupted after" in text
    assert "the same command goes on" in text
    assert 0 < stored(warehouse) < ROWS
    assert statuses(warehouse) == {"stopped"}
    del settings["schemas"][0]["full_load_batch_size"]
    shop.write(settings)
    shop.ok("run", "--once")
    assert stored(warehouse) == ROWS
    assert statuses(warehouse) == {"stopped", "success"}


def stored(uri: str) -> int:
    if "shop" not in schemas_of(uri) or query(uri, "select to_regclass('shop.events') is null") == [(True,)]:
        return 0
    return int(query(uri, "select count(*) from shop.events")[0][0])


def statuses(uri: str) -> set[str]:
    return {status for (status,) in query(uri, "select distinct status from cartridge_warp_metadata.sync_runs")}
