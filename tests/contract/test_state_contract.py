"""What every state store owes: one holder per lease, and mandates that run out."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TypeAlias

import psutil
import pytest

from tests.contract.laboratories import DestinationLab, MemoryDestinationLab, PostgresDestinationLab
from warp_resources.connectors.interfaces import StateStore
from warp_resources.connectors.local_state import LocalStateStore
from warp_resources.errors import LeaseHeld
from warp_resources.model.positions import Holder, Lease

LONG, NOTHING = timedelta(seconds=60), timedelta(0)
ME = Holder(socket.gethostname(), os.getpid(), psutil.Process().create_time(), "me")
ELSEWHERE = Holder("another-host", 4711, 1.0, "elsewhere")

OpenStore: TypeAlias = Callable[[], StateStore]


@pytest.fixture(params=["local", "memory", pytest.param("postgresql", marks=pytest.mark.servers)])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenStore]:
    """Opens the same store once more, as another process would."""
    if request.param == "local":
        yield lambda: LocalStateStore(tmp_path / "state" / "leases.sqlite")
        return
    made: DestinationLab = (
        MemoryDestinationLab(f"memory-{tmp_path.name}")
        if request.param == "memory"
        else PostgresDestinationLab(request.getfixturevalue("warehouse"))
    )
    yield made.state_store
    made.close()


# SPEC: T8
def test_a_lease_has_one_holder(open_store: OpenStore) -> None:
    mine, other = open_store(), open_store()
    lease = mine.take_lease("stream:shop", ME, LONG)
    with pytest.raises(LeaseHeld) as refused:
        other.take_lease("stream:shop", ELSEWHERE, LONG)
    assert "me" in str(refused.value.facts["holder"])
    found = other.lease_holder("stream:shop")
    assert found is not None
    assert (found.host, found.pid, found.label) == (ME.host, ME.pid, "me")
    other.take_lease("stream:other", ELSEWHERE, LONG)
    mine.release_lease(lease)
    assert mine.lease_holder("stream:shop") is None
    other.take_lease("stream:shop", ELSEWHERE, LONG)
    mine.close()
    other.close()


# SPEC: T8
def test_an_expired_lease_goes_to_who_asks_first(open_store: OpenStore) -> None:
    store = open_store()
    old = store.take_lease("stream:shop", ME, NOTHING)
    new = store.take_lease("stream:shop", ELSEWHERE, LONG)
    assert store.renew_leases([old], LONG) == []
    store.release_lease(old)
    assert store.lease_holder("stream:shop") is not None
    assert store.renew_leases([old, new], LONG) == [new]
    store.close()


# SPEC: T8 P1
def test_a_note_goes_with_its_lease(open_store: OpenStore) -> None:
    mine, other = open_store(), open_store()
    old = mine.take_lease("stream:shop", ME, NOTHING)
    mine.note(old, "expired")
    assert other.noted("stream:shop") is None
    lease = other.take_lease("stream:shop", ELSEWHERE, LONG)
    assert mine.noted("stream:shop") is None
    other.note(lease, "one")
    other.note(lease, '{"at": 2}')
    mine.note(old, "taken over")
    assert mine.noted("stream:shop") == '{"at": 2}'
    assert other.renew_leases([lease], LONG) == [lease]
    assert mine.noted("stream:shop") == '{"at": 2}'
    other.release_lease(lease)
    assert mine.noted("stream:shop") is None
    mine.close()
    other.close()


def test_a_dead_process_of_this_host_loses_its_lease_at_once(open_store: OpenStore) -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    dead = Holder(ME.host, child.pid, psutil.Process(child.pid).create_time(), "dead")
    store = open_store()
    store.take_lease("stream:shop", dead, LONG)
    with pytest.raises(LeaseHeld):
        store.take_lease("stream:shop", ME, LONG)
    child.communicate(b"\n", timeout=30)
    assert isinstance(store.take_lease("stream:shop", ME, LONG), Lease)
    store.close()


def test_a_pid_that_was_given_to_another_process_holds_nothing(open_store: OpenStore) -> None:
    store = open_store()
    store.take_lease("stream:shop", Holder(ME.host, ME.pid, ME.started - 3600, "earlier"), LONG)
    store.take_lease("stream:shop", ME, LONG)
    store.close()


def test_a_mandate_runs_out(open_store: OpenStore) -> None:
    store, other = open_store(), open_store()
    assert not store.has_mandate("shop")
    store.set_mandate("shop", LONG)
    assert other.has_mandate("shop")
    assert not other.has_mandate("other")
    store.set_mandate("shop", NOTHING)
    assert not other.has_mandate("shop")
    store.set_mandate("shop", timedelta(milliseconds=50))
    deadline = time.monotonic() + 30
    while other.has_mandate("shop"):
        assert time.monotonic() < deadline
    store.close()
    other.close()
