"""The whole line over the in-memory connectors, run by the runner."""

from __future__ import annotations

import uuid

import pytest

from warp_resources import WarpConfig, WarpRunner
from warp_resources.connectors.memory.destination import MemoryDestination, MemoryOptions
from warp_resources.connectors.memory.server import MemoryServer
from warp_resources.model.tables import TableId

USERS = TableId("shop", "users")


class Shop:
    """A server, a store and the configuration that joins them."""

    def __init__(self, **schema: object) -> None:
        name = uuid.uuid4().hex
        self.server = MemoryServer.named(name)
        self.server.create_table("shop", "users")
        self.config = WarpConfig.model_validate(
            {
                "source": {"type": "memory", "server": name, "database": "shop"},
                "destination": {"type": "memory", "store": name},
                "schemas": [{"name": "shop", **schema}],
            }
        )
        self.destination = MemoryDestination(MemoryOptions(store=name))

    def rows(self) -> dict[object, dict[str, object]]:
        found = self.destination.rows(USERS)
        return {row["_id"]: {k: v for k, v in row.items() if not k.startswith("_warp")} for row in found}

    def run_once(self, full_resync: bool = False) -> None:
        WarpRunner(self.config).run_once(full_resync)


@pytest.fixture
def shop() -> Shop:
    return Shop()


def test_once_snapshots_then_applies_changes(shop: Shop) -> None:
    # SPEC: L2 A1 M2
    for n in range(50):
        shop.server.put("shop", "users", {"_id": n, "n": n})
    shop.run_once()
    assert shop.rows() == {n: {"_id": n, "n": n} for n in range(50)}
    shop.server.put("shop", "users", {"_id": 3, "n": "three"})
    shop.server.delete("shop", "users", 4)
    shop.run_once()
    rows = shop.rows()
    assert rows[3]["n"] == "three"
    assert 4 not in rows
    assert rows[5]["n"] == "5"


def test_a_full_resync_mends_a_spoiled_table(shop: Shop) -> None:
    # SPEC: M5
    for n in range(20):
        shop.server.put("shop", "users", {"_id": n, "n": n})
    shop.run_once()
    shop.server.put("shop", "users", {"_id": 99, "n": 99})
    shop.run_once(full_resync=True)
    assert set(shop.rows()) == {*range(20), 99}


def test_lost_history_reads_the_table_again(shop: Shop) -> None:
    # SPEC: R4
    for n in range(20):
        shop.server.put("shop", "users", {"_id": n, "n": n})
    shop.run_once()
    shop.server.delete("shop", "users", 1, 2, 3)
    shop.server.put("shop", "users", {"_id": 4, "n": 400})
    shop.server.trim_log()
    shop.run_once()
    rows = shop.rows()
    assert set(rows) == {0, *range(4, 20)}
    assert rows[4]["n"] == 400


def test_a_table_that_appears_later_is_loaded(shop: Shop) -> None:
    # SPEC: D1
    shop.run_once()
    shop.server.put("shop", "orders", {"_id": 1, "v": 1})
    shop.run_once()
    assert [row["v"] for row in shop.destination.rows(TableId("shop", "orders"))] == [1]
