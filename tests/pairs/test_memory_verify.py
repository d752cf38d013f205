"""What a verification makes of rows and tables that come and go under it, over the in-memory connectors."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from tests.pairs.test_memory_engine import USERS, Shop
from warp_resources.model.differences import DifferenceKind
from warp_resources.model.tables import TableId
from warp_resources.model.verifications import Verification
from warp_resources.pipeline import verify
from warp_resources.pipeline.behind import keys_behind
from warp_resources.pipeline.engine import open_engine, units
from warp_resources.pipeline.lease import LeaseKeeper
from warp_resources.pipeline.repair import repairing
from warp_resources.pipeline.sides import Sides, open_sides, sides_of
from warp_resources.pipeline.snapshot import OnChunk, ignore_chunk
from warp_resources.pipeline.verify import verify_table

MISSING, DIFFERENT, SURPLUS, _ = DifferenceKind


def loaded(rows: int = 6, **schema: object) -> Shop:
    shop = Shop(**schema)
    shop.server.put("shop", "users", *({"_id": number, "n": number} for number in range(rows)))
    shop.run_once()
    return shop


def verified(shop: Shop, on_chunk: OnChunk = ignore_chunk, stop: threading.Event | None = None) -> Verification:
    with open_sides(units(shop.config, "shop")[0], stop or threading.Event()) as sides:
        return verify_table(sides, "users", on_chunk=on_chunk)


def repaired(shop: Shop, on_chunk: OnChunk = ignore_chunk, *, stops: bool = False) -> Verification:
    """Compare and mend; with ``stops``, somebody breaks it off once rows are mended."""
    unit = units(shop.config, "shop")[0]
    with open_engine(unit, threading.Event(), is_helper=True) as engine, repairing(engine, "users") as mend:

        def mend_and_stop(keys: Sequence[str]) -> None:
            mend(keys)
            engine.stop.set()

        chosen = mend_and_stop if stops else mend
        return verify_table(sides_of(engine), "users", mend=chosen, on_chunk=on_chunk)


def kinds(found: Verification) -> dict[str, DifferenceKind]:
    return {its.primary_key: its.kind for its in found.keys}


def spoil(shop: Shop, *gone: int, **values: Any) -> None:
    """Remove rows by hand, and change the values of the others."""
    with shop.destination.store.transaction() as draft:
        rows = draft.table(USERS).rows
        for key, row in list(rows.items()):
            rows[key] = replace(row, values={**row.values, **values})
        for number in gone:
            del rows[str(number)]


@contextmanager
def streaming(shop: Shop) -> Iterator[None]:
    """Somebody holds the stream."""
    leases = LeaseKeeper(shop.destination.state_store, label="test")
    with leases.holding("stream:shop"):
        yield
    leases.close()


def test_a_row_that_comes_and_goes_again_and_again_is_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    # SPEC: R5
    shop = loaded()
    shop.server.put("shop", "users", {"_id": 77})

    def stream_between_the_readings(sides: Sides, table: TableId) -> frozenset[str]:
        """What the stream brings, and what comes to the source after it."""
        shop.run_once()
        with streaming(shop):
            behind = keys_behind(sides, table)
        shop.server.delete("shop", "users", 77)
        shop.run_once()
        shop.server.put("shop", "users", {"_id": 77})
        return behind

    monkeypatch.setattr(verify, "keys_behind", stream_between_the_readings)
    found = verified(shop)
    assert (found.differences, found.moving, found.matched) == (0, 1, 6)


@pytest.mark.parametrize(("goes_on", "moving"), [(False, 0), (True, 1)], ids=["once", "again and again"])
def test_a_row_that_the_stream_brings_between_the_readings_is_no_difference(
    goes_on: bool, moving: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # SPEC: R5
    shop = loaded()
    shop.server.put("shop", "users", {"_id": 3, "n": 100})
    numbers = count(101)

    def stream_between_the_readings(sides: Sides, table: TableId) -> frozenset[str]:
        shop.run_once()
        if goes_on:
            shop.server.put("shop", "users", {"_id": 3, "n": next(numbers)})
        return frozenset()

    monkeypatch.setattr(verify, "keys_behind", stream_between_the_readings)
    found = verified(shop)
    assert (found.differences, found.moving) == (0, moving)


def test_a_row_that_is_missing_beside_a_stream_is_found_at_once() -> None:
    # SPEC: R5
    shop = loaded()
    spoil(shop, 3)
    with streaming(shop):
        assert kinds(verified(shop)) == {'{"_id": 3}': MISSING}


@pytest.mark.parametrize("mode", ["stream", "batch"])
def test_a_table_that_goes_in_the_middle_keeps_its_rows(mode: str) -> None:
    # SPEC: R5 X3
    shop = loaded(mode=mode, full_load_batch_size=2)
    spoil(shop, 5, n=99)

    def drop(*_: object) -> None:
        shop.server.drop_table("shop", "users")

    found = repaired(shop, drop)
    assert "no longer exists" in found.note
    assert found.keys == []
    assert set(shop.rows()) == {0, 1, 2, 3, 4}


@pytest.mark.parametrize("mode", ["stream", "batch"])
def test_nothing_is_removed_from_a_table_that_goes_just_before_its_repair(mode: str) -> None:
    # SPEC: R5 X3
    shop = loaded(mode=mode)
    unit = units(shop.config, "shop")[0]
    with open_engine(unit, threading.Event(), is_helper=True) as engine, repairing(engine, "users") as mend:
        shop.server.drop_table("shop", "users")
        mend(['{"_id": 1}'])
    assert set(shop.rows()) == set(range(6))


def test_a_batch_table_is_mended_and_its_marker_stays() -> None:
    # SPEC: R5 M2 X1
    shop = loaded(mode="batch")
    spoil(shop, 1)
    with shop.destination.store.transaction() as draft:
        rows = draft.table(USERS).rows
        rows["2"] = replace(rows["2"], values={"_id": 2, "n": 9})
        rows["50"] = replace(rows["0"], values={"_id": 50})
    before = shop.destination.table_states("shop")["users"].position
    wrong = {'{"_id": 1}': MISSING, '{"_id": 2}': DIFFERENT, '{"_id": 50}': SURPLUS}
    assert kinds(verified(shop)) == wrong
    found = repaired(shop)
    assert (kinds(found), found.mended, found.differences) == (wrong, 3, 0)
    assert shop.rows() == {number: {"_id": number, "n": number} for number in range(6)}
    assert shop.destination.table_states("shop")["users"].position == before
    assert [its.key_text for its in shop.destination.store.contents.deletions] == ["50"]
    assert shop.destination.state_store().lease_holder("batch:shop.users") is None
    assert verified(shop).keys == []


def test_a_verification_that_is_broken_off_calls_nothing_a_surplus() -> None:
    # SPEC: R5 M6
    shop = loaded(full_load_batch_size=2)
    stop = threading.Event()
    found = verified(shop, lambda _: stop.set(), stop)
    assert (found.rows, found.differences) == (1, 0)


def test_a_repair_that_is_broken_off_claims_nothing() -> None:
    # SPEC: R5 M6
    shop = loaded()
    spoil(shop, 3)
    found = repaired(shop, stops=True)
    assert (found.missing, found.mended) == (1, 0)
    assert all(its.status != "open" for its in shop.destination.store.contents.generations.values())
    assert shop.destination.state_store().lease_holder("slice:shop.users:slice-00") is None
