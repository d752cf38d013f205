"""The whole line over the in-memory connectors, run by the runner."""

from __future__ import annotations

import uuid

import pytest

from warp_resources import WarpConfig, WarpRunner
from warp_resources.connectors.memory.destination import MemoryDestination, MemoryOptions
from warp_resources.connectors.memory.server import MemoryServer
from warp_resources.errors import ConfigurationError, HistoryLost, OperatorError
from warp_resources.model.tables import TableId

USERS = TableId("shop", "users")


class Shop:
    """A server, a store and the configuration that joins them."""

    def __init__(self, error_handling: dict[str, object] | None = None, **schema: object) -> None:
        name = uuid.uuid4().hex
        self.server = MemoryServer.named(name)
        self.server.create_table("shop", "users")
        self.config = WarpConfig.model_validate(
            {
                "source": {"type": "memory", "server": name, "database": "shop"},
                "destination": {"type": "memory", "store": name},
                "schemas": [{"name": "shop", **schema}],
                "error_handling": error_handling or {},
            }
        )
        self.name = name
        self.destination = MemoryDestination(MemoryOptions(store=name))

    def rows(self) -> dict[object, dict[str, object]]:
        found = self.destination.rows(USERS)
        return {row["_id"]: {k: v for k, v in row.items() if not k.startswith("_warp")} for row in found}

    def with_schema(self, **schema: object) -> WarpConfig:
        """The same line, configured otherwise."""
        return WarpConfig.model_validate(
            {
                "source": {"type": "memory", "server": self.name, "database": "shop"},
                "destination": {"type": "memory", "store": self.name},
                "schemas": [{"name": "shop", **schema}],
            }
        )

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


def test_lost_history_can_stop_instead() -> None:
    # SPEC: R4
    shop = Shop(error_handling={"on_history_lost": "fail"})
    shop.server.put("shop", "users", {"_id": 1, "n": 1})
    shop.run_once()
    shop.server.put("shop", "users", {"_id": 2, "n": 2})
    shop.server.trim_log()
    with pytest.raises(HistoryLost):
        shop.run_once()
    assert set(shop.rows()) == {1}


def test_a_table_that_left_the_list_and_comes_back_is_read_again(shop: Shop) -> None:
    # SPEC: M5  FAULTS: 7
    shop.server.put("shop", "users", {"_id": 1, "n": 1})
    shop.run_once()
    WarpRunner(shop.with_schema(table_whitelist=["orders"])).run_once()
    shop.server.put("shop", "users", {"_id": 2, "n": 2})
    shop.server.delete("shop", "users", 1)
    WarpRunner(shop.with_schema(table_whitelist=["orders"])).run_once()
    assert set(shop.rows()) == {1}, "a table that is not named is left as it is"
    shop.run_once()
    assert set(shop.rows()) == {2}


@pytest.mark.parametrize("key", ["ignore_type_conversion_errors", "dead_letter_queue"])
def test_a_value_that_would_be_set_aside_stops_the_schema_where_that_is_wanted(key: str) -> None:
    # SPEC: C5 E6
    shop = Shop(error_handling={key: False})
    shop.server.put("shop", "users", {"_id": 1, "n": 1})
    shop.run_once()
    shop.server.put("shop", "users", {"_id": 2, "n": {"an": "object"}})
    with pytest.raises(OperatorError, match=key):
        shop.run_once()
    assert set(shop.rows()) == {1}


def test_without_a_full_load_only_changes_arrive() -> None:
    # SPEC: C1
    shop = Shop(tables={"users": {"full_load_enabled": False}})
    shop.server.put("shop", "users", {"_id": 1, "n": 1})
    shop.run_once()
    shop.server.put("shop", "users", {"_id": 2, "n": 2})
    shop.run_once()
    assert set(shop.rows()) == {2}


def test_a_dropped_table_keeps_its_rows_and_says_so(shop: Shop) -> None:
    # SPEC: X3
    shop.server.put("shop", "users", {"_id": 1, "n": 1})
    shop.run_once()
    shop.server.drop_table("shop", "users")
    shop.run_once()
    shop.run_once(full_resync=True)
    assert set(shop.rows()) == {1}
    assert "source_dropped" in {logged.entry.error_type for logged in shop.destination.store.contents.errors}


def test_a_failing_schema_does_not_stop_another() -> None:
    # SPEC: M3
    shop = Shop()
    shop.server.put("shop", "users", {"_id": 1, "n": 1})
    config = WarpConfig.model_validate(
        {
            "source": {"type": "memory", "server": shop.name},
            "destination": {"type": "memory", "store": shop.name},
            "schemas": [{"name": "absent"}, {"name": "shop"}],
        }
    )
    with pytest.raises(OperatorError, match="no such database"):
        WarpRunner(config).run_once()
    assert set(shop.rows()) == {1}


def test_a_run_of_one_table_begins_no_other_and_leaves_none_behind(shop: Shop) -> None:
    # SPEC: L2
    shop.server.put("shop", "users", {"_id": 1, "n": 1})
    shop.server.put("shop", "orders", {"_id": 1, "n": 1})
    orders = TableId("shop", "orders")
    WarpRunner(shop.config, tables=["users"]).run_once()
    assert set(shop.rows()) == {1}
    assert shop.destination.rows(orders) == []
    shop.run_once()
    shop.server.put("shop", "orders", {"_id": 2, "n": 2})
    WarpRunner(shop.config, tables=["users"]).run_once()
    assert {row["_id"] for row in shop.destination.rows(orders)} == {1, 2}


def test_a_full_resync_of_a_new_table_reads_it_once(shop: Shop) -> None:
    # SPEC: M5
    shop.server.put("shop", "users", {"_id": 1, "n": 1})
    shop.run_once(full_resync=True)
    sequences = {row["_warp_sequence"] for row in shop.destination.rows(USERS)}
    assert sequences == {1}


@pytest.mark.parametrize("mode", ["stream", "batch"])
def test_another_key_than_the_rows_have_is_refused_before_anything_is_written(mode: str) -> None:
    # SPEC: E11 C7
    shop = Shop(mode=mode, tables={"users": {"primary_key": "email"}})
    shop.server.put("shop", "users", {"_id": 1, "email": "a@b"})
    shop.server.put("shop", "orders", {"_id": 1})
    with pytest.raises(ConfigurationError, match=r"primary_key of shop\.users .* set it to \[_id\]"):
        shop.run_once()
    assert not shop.destination.store.contents.tables
    assert shop.destination.stream_state("shop") is None


def test_the_key_that_the_rows_have_may_be_named() -> None:
    # SPEC: E11
    shop = Shop(tables={"users": {"primary_key": ["_id"]}})
    shop.server.put("shop", "users", {"_id": 1, "n": 1})
    shop.run_once()
    assert set(shop.rows()) == {1}


def test_a_table_that_the_whitelist_leaves_out_is_not_replicated_in_another_mode() -> None:
    # SPEC: M2
    shop = Shop(table_whitelist=["users"], tables={"logs": {"mode": "batch"}})
    shop.server.put("shop", "users", {"_id": 1, "n": 1})
    shop.server.put("shop", "logs", {"_id": 1, "n": 1})
    shop.run_once()
    assert set(shop.rows()) == {1}
    assert shop.destination.rows(TableId("shop", "logs")) == []
