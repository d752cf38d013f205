"""A type change of a large table from MongoDB's stream to PostgreSQL, made beside the use of the table."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from tests.fixtures.servers import MongoDatabase
from tests.pairs.process import eventually
from warp_resources import WarpConfig, WarpRunner
from warp_resources.cli.status import table_statuses
from warp_resources.connectors.postgresql import large, rewriting
from warp_resources.pipeline.options import open_destination

pytestmark = pytest.mark.servers

COUNT = 20_000
IS_FILLED = "select next_block >= end_block from cartridge_warp_metadata.rewrites"
STAGE = "select table_name from cartridge_warp_metadata.rewrites"


@pytest.fixture(autouse=True)
def every_table_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large, "LARGE_BYTES", 1)
    monkeypatch.setattr(rewriting, "_FIRST_BLOCKS", 4)
    monkeypatch.setattr(rewriting, "_MOST_BLOCKS", 4)


@pytest.fixture
def config(mongo_db: MongoDatabase, warehouse: str) -> WarpConfig:
    source = {"type": "mongodb", "connection_string": mongo_db.uri, "database": mongo_db.name}
    return WarpConfig.model_validate(
        {
            "source": source,
            "destination": {"type": "postgresql", "connection_string": warehouse},
            "schemas": [{"name": "shop", "database": mongo_db.name}],
        }
    )


@contextmanager
def streaming(config: WarpConfig) -> Iterator[None]:
    """Run in a thread until the block ends."""
    runner = WarpRunner(config)
    thread = threading.Thread(target=runner.start)
    thread.start()
    try:
        yield
    finally:
        runner.stop()
        thread.join(30)
    assert not thread.is_alive()


def stored(warehouse: str) -> dict[str, str | None]:
    with psycopg.connect(warehouse) as connection:
        return dict(connection.execute("select _id::text, v::text from shop.items").fetchall())


def columns(warehouse: str) -> dict[str, str]:
    query = "select column_name, data_type from information_schema.columns where table_name = 'items'"
    with psycopg.connect(warehouse) as connection:
        return dict(connection.execute(query).fetchall())


def test_a_stream_goes_on_while_a_large_table_is_rewritten(
    config: WarpConfig, mongo_db: MongoDatabase, warehouse: str
) -> None:
    # SPEC: E2 E3 E10 T7
    items, others = mongo_db.database["items"], mongo_db.database["others"]
    items.insert_many([{"_id": number, "v": number} for number in range(COUNT)])
    others.insert_one({"_id": 0})
    WarpRunner(config).run_once()
    expected: dict[str, Any] = {str(number): str(number) for number in range(COUNT)}
    with streaming(config), psycopg.connect(warehouse, autocommit=True) as connection:
        items.insert_one({"_id": -1, "v": "high"})
        expected["-1"] = "high"
        turn = 0
        deadline = time.monotonic() + 60
        while "text" not in columns(warehouse).get("v", "") or "_warp_new" in str(columns(warehouse)):
            assert time.monotonic() < deadline
            items.update_one({"_id": turn}, {"$set": {"v": f"turn {turn}"}})
            items.delete_one({"_id": COUNT - 1 - turn})
            items.insert_one({"_id": COUNT + turn, "v": 1.5 + turn})
            others.insert_one({"_id": turn + 1})
            expected[str(turn)] = f"turn {turn}"
            del expected[str(COUNT - 1 - turn)]
            expected[str(COUNT + turn)] = str(1.5 + turn)
            turn += 1
        eventually(lambda: stored(warehouse) == expected)
        eventually(lambda: connection.execute("select count(*) from shop.others").fetchall() == [(turn + 1,)])
        assert connection.execute(STAGE).fetchall() == []
        assert connection.execute("select count(*) from cartridge_warp_metadata.dead_letters").fetchall() == [(0,)]


def test_a_lock_of_others_holds_up_the_end_and_nothing_else(
    config: WarpConfig, mongo_db: MongoDatabase, warehouse: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # SPEC: E3 L4
    monkeypatch.setattr(rewriting, "_MOST_BLOCKS", 1)
    items, others = mongo_db.database["items"], mongo_db.database["others"]
    items.insert_many([{"_id": number, "v": number} for number in range(COUNT)])
    others.insert_one({"_id": 0})
    WarpRunner(config).run_once()
    destination = open_destination(config)

    def said() -> str | None:
        return next(line.rewriting for line in table_statuses(config, destination, "shop") if line.table == "items")

    with streaming(config), psycopg.connect(warehouse, autocommit=True) as connection:
        items.insert_one({"_id": -1, "v": "high"})
        eventually(lambda: connection.execute(STAGE).fetchall() == [("items",)])
        with psycopg.connect(warehouse) as reader:
            reader.execute("select * from shop.items limit 1")
            eventually(lambda: "rewriting v: " in (said() or ""))
            eventually(lambda: connection.execute(IS_FILLED).fetchall() == [(True,)])
            others.insert_one({"_id": 1})
            items.insert_one({"_id": -2, "v": "late"})
            eventually(lambda: connection.execute("select count(*) from shop.others").fetchall() == [(2,)])
            eventually(lambda: connection.execute("select count(*) from shop.items").fetchall() == [(COUNT + 2,)])
            assert columns(warehouse)["v"] == "bigint"
        eventually(lambda: columns(warehouse)["v"] == "text")
    assert stored(warehouse)["-2"] == "late"
    assert said() is None
    destination.close()


def test_a_single_run_ends_with_every_row_rewritten(
    config: WarpConfig, mongo_db: MongoDatabase, warehouse: str
) -> None:
    # SPEC: L2 E3
    items = mongo_db.database["items"]
    items.insert_many([{"_id": number, "v": number} for number in range(5_000)])
    WarpRunner(config).run_once()
    items.insert_one({"_id": -1, "v": "high"})
    WarpRunner(config).run_once()
    assert columns(warehouse)["v"] == "text"
    assert stored(warehouse) == {str(number): str(number) for number in range(5_000)} | {"-1": "high"}
    with psycopg.connect(warehouse) as connection:
        kinds = connection.execute(
            "select changes -> 0 ->> 'kind' from cartridge_warp_metadata.schema_registry order by version"
        ).fetchall()
    assert kinds == [("create_table",), ("begin_rewrite",), ("end_rewrite",)]


def test_a_batch_table_is_rewritten_in_its_tick(config: WarpConfig, mongo_db: MongoDatabase, warehouse: str) -> None:
    # SPEC: M2 E3
    items, at = mongo_db.database["items"], datetime(2024, 5, 1, tzinfo=UTC)
    schema = config.schemas[0].model_copy(update={"mode": "batch"})
    config = config.model_copy(update={"schemas": [schema]})
    items.insert_many([{"_id": number, "v": number, "updated_at": at} for number in range(2_000)])
    WarpRunner(config).run_once()
    items.insert_one({"_id": -1, "v": "high", "updated_at": at})
    WarpRunner(config).run_once()
    assert columns(warehouse)["v"] == "text"
    assert stored(warehouse)["-1"] == "high"
    assert stored(warehouse)["7"] == "7"
