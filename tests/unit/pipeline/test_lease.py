"""Leases that are lost while something else goes wrong."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from warp_resources.connectors.memory.state import MemoryStateStore
from warp_resources.connectors.memory.store import MemoryStore
from warp_resources.errors import FencedOut, OperatorError, TransientError
from warp_resources.model.positions import Lease
from warp_resources.pipeline import lease
from warp_resources.pipeline.lease import LeaseKeeper


class Blind(MemoryStateStore):
    """A store that may not look for frozen processes."""

    def __init__(self, store: MemoryStore, tried: threading.Semaphore) -> None:
        super().__init__(store)
        self._tried = tried

    def end_frozen(self) -> None:
        self._tried.release()
        raise OperatorError("not allowed", remedy="Allow it")


# SPEC: T8  FAULTS: 3
def test_a_lost_lease_is_noticed_where_nobody_may_look_for_frozen_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "RENEW_EVERY", timedelta(milliseconds=2))
    store, tried = MemoryStore(), threading.Semaphore(0)
    keeper = LeaseKeeper(lambda: Blind(store, tried), label="test")
    try:
        keeper.take("stream:shop")
        tried.acquire(timeout=5)
        keeper.demand("stream:shop")
        with store.exclusive():
            store.leases.clear()
        # One that was under way, and one that began after the loss.
        for _ in range(3):
            tried.acquire(timeout=5)
        with pytest.raises(FencedOut):
            keeper.demand("stream:shop")
    finally:
        keeper.close()


class Away(MemoryStateStore):
    """A store whose server goes away with the lease."""

    def release_lease(self, lease: Lease) -> None:
        raise TransientError("It does not answer")


# SPEC: T8  FAULTS: 22
def test_a_lease_that_cannot_be_released_hides_nothing_of_what_ended_its_block() -> None:
    keeper = LeaseKeeper(lambda: Away(MemoryStore()), label="test")
    try:
        with pytest.raises(KeyError), keeper.holding("slice"):
            raise KeyError
        assert not keeper.holds("slice")
    finally:
        keeper.close()
