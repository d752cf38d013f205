"""Processes that were frozen, readings that rested and tables that fell behind, over the in-memory connectors."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.pairs.test_memory_engine import USERS, Shop
from tests.pairs.test_memory_hash import THINGS, Crm
from tests.pairs.test_memory_verify import loaded, repaired, spoil, verified
from warp_resources.connectors.memory.source import MemorySource
from warp_resources.errors import LeaseHeld
from warp_resources.model.positions import Aside, ChunkBasis, Position, StreamCommit
from warp_resources.model.tables import TableId
from warp_resources.pipeline import replicate, verify
from warp_resources.pipeline.aside import AsideTables
from warp_resources.pipeline.engine import open_engine, units
from warp_resources.pipeline.freshness import not_before
from warp_resources.pipeline.lease import LeaseKeeper
from warp_resources.pipeline.looking import look
from warp_resources.pipeline.sides import Sides
from warp_resources.pipeline.stream_run import StreamRun


def freezing(monkeypatch: pytest.MonkeyPatch, shop: Shop, meanwhile: Callable[[], None]) -> None:
    """The next process that asks for the log's end is frozen there until its lease is over and others have worked."""
    log_end = MemorySource.log_end
    frozen: list[bool] = []

    def late(source: MemorySource, scope: Any) -> Position:
        if not frozen:
            frozen.append(True)
            shop.destination.store.leases.clear()
            meanwhile()
        return log_end(source, scope)

    monkeypatch.setattr(MemorySource, "log_end", late)


# SPEC: T8 T7  FAULTS: 3
def test_a_process_that_was_frozen_before_the_first_start_skips_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    shop = Shop()
    shop.server.put("shop", "users", {"_id": 1, "n": 1})

    def meanwhile() -> None:
        shop.run_once()
        # Written when the other has ended: in its stream, and in no reading.
        shop.server.put("shop", "users", {"_id": 1, "n": 2})

    freezing(monkeypatch, shop, meanwhile)
    shop.run_once()
    assert shop.rows() == {1: {"_id": 1, "n": 2}}


# SPEC: M5 R4
def test_a_first_load_that_rested_too_long_is_begun_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    shop = loaded()
    state = shop.destination.stream_state("shop")
    assert state is not None
    commit = StreamCommit("shop", state.epoch, state.sequence, state.position)
    shop.destination.admit(commit, [USERS], [], generation="load-long-ago")
    spoil(shop, 1, 2)
    monkeypatch.setattr(replicate, "ABANDONED_AFTER", timedelta(0))
    shop.run_once()
    assert set(shop.rows()) == set(range(6))
    assert shop.destination.table_states("shop")["users"].is_loaded


# SPEC: M3 R4
def test_a_table_is_covered_anew_from_where_its_stream_is() -> None:
    shop = loaded()
    state = shop.destination.stream_state("shop")
    assert state is not None
    with open_engine(units(shop.config, "shop")[0], threading.Event(), is_helper=True) as engine:
        fence = StreamCommit("shop", state.epoch, state.sequence, state.position)
        run = StreamRun(engine, fence, {"users"}, {"users"}, AsideTables(engine.unit.backoff))
        run.note(Aside(USERS, state.position, "it broke"))
        shop.server.put("shop", "other", {"_id": 1})
        # Read, and nothing to write in it: what it had of the table is not coming again.
        run.moved = engine.source.log_end(engine.scope)
        passed = run.moved
        run.readmit(USERS, "history-1")
        assert [its.generation for its in run.pending] == ["history-1"]
    stream = shop.destination.stream_state("shop")
    assert stream is not None
    assert stream.position == passed
    assert shop.destination.table_states("shop")["users"].covered_from == passed


# SPEC: M5
def test_a_table_that_is_ahead_of_its_stream_is_read_no_older_than_it_is() -> None:
    shop = loaded()
    with open_engine(units(shop.config, "shop")[0], threading.Event(), is_helper=True) as engine:
        early = engine.source.log_end(engine.scope)
        shop.server.put("shop", "users", {"_id": 7})
        late = engine.source.log_end(engine.scope)
        assert early != late
        assert not_before(engine.source, ChunkBasis(1, early, late)) == late
        assert not_before(engine.source, ChunkBasis(1, late, early)) == late
        assert not_before(engine.source, ChunkBasis(1, late)) == late
        assert not_before(engine.source, ChunkBasis(1, None)) is None


# SPEC: R5
def test_a_row_that_the_stream_brings_while_it_is_compared_is_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    shop = loaded()
    looked: list[bool] = []

    def late(*arguments: Any) -> Any:
        if not looked:
            looked.append(True)
            # Newer than what was just read.
            shop.server.put("shop", "users", {"_id": 0, "n": 100})
            shop.run_once()
        return look(*arguments)

    def behind(sides: Sides, table: TableId) -> frozenset[str]:
        if len(looked) == 1:
            looked.append(True)
            # The stream is where it has to be, and then something else comes.
            shop.server.put("shop", "users", {"_id": 0, "n": 101})
        else:
            shop.run_once()
        return frozenset()

    monkeypatch.setattr(verify, "look", late)
    monkeypatch.setattr(verify, "keys_behind", behind)
    assert verified(shop).differences == 0


# SPEC: T8 R5  FAULTS: 3
def test_a_repair_of_a_batch_table_waits_for_no_one_and_overtakes_no_one() -> None:
    shop = loaded(mode="batch")
    spoil(shop, 1)
    epoch = shop.destination.table_states("shop")["users"].epoch
    leases = LeaseKeeper(shop.destination.state_store, label="test")
    try:
        with leases.holding("batch:shop.users"), pytest.raises(LeaseHeld):
            repaired(shop)
    finally:
        leases.close()
    # Whoever holds the table can still commit.
    assert shop.destination.table_states("shop")["users"].epoch == epoch


# SPEC: X4 X2 E10
def test_a_tick_by_hash_changes_a_table_none_of_whose_rows_has_changed() -> None:
    crm = Crm()
    crm.put({"_id": 1}, {"_id": 2})
    crm.once()
    before = crm.sequences()
    [schema] = crm.config.schemas
    soft = replace_schema(crm, schema.model_copy(update={"deletion_strategy": "soft"}))
    soft.once()
    assert crm.destination.table_schemas("crm")["things"].flag == "is_deleted"
    assert {row["_id"] for row in crm.destination.rows(THINGS)} == set(before)


def replace_schema(crm: Crm, schema: Any) -> Crm:
    """The same line, configured otherwise."""
    crm.config = crm.config.model_copy(update={"schemas": [schema]})
    return crm
