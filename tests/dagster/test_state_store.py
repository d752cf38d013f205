"""A state store of its own: whoever works on a schema, wherever its rows land, is known there."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta

import pytest

from warp_assets.inspection import Inspection
from warp_resources import WarpConfig
from warp_resources.cli.status import table_statuses
from warp_resources.connectors.interfaces import StateStore
from warp_resources.connectors.memory.server import MemoryServer
from warp_resources.errors import LeaseHeld
from warp_resources.model.positions import stream_lease
from warp_resources.model.tables import TableId
from warp_resources.pipeline.engine import open_engine, units
from warp_resources.pipeline.lease import this_process
from warp_resources.pipeline.options import open_destination, open_state
from warp_resources.pipeline.replicate import Request, replicate
from warp_sensors.changes import _Watcher
from warp_sensors.drain import drain
from warp_sensors.drainer import Drainer
from warp_sensors.mandate import MANDATE, drain_lease, drainer_label

pytestmark = pytest.mark.servers

LONG = timedelta(seconds=60)


class Place:
    """Destinations in memory, each with a store of its own, whose leases are in one PostgreSQL database."""

    def __init__(self, state: str) -> None:
        self._state = state
        self._server = uuid.uuid4().hex
        MemoryServer.named(self._server).put("shop", "users", {"_id": 1})

    def config(self) -> WarpConfig:
        return WarpConfig.model_validate(
            {
                "source": {"type": "memory", "server": self._server},
                "destination": {"type": "memory", "store": uuid.uuid4().hex},
                "state": {"connection_string": self._state},
                "schemas": [{"name": "shop"}],
            }
        )


@pytest.fixture
def place(warehouse: str) -> Place:
    return Place(warehouse)


@pytest.fixture
def store(place: Place) -> Iterator[StateStore]:
    config = place.config()
    with closing(open_destination(config)) as destination, closing(open_state(config, destination)) as made:
        yield made


def eventually(holds: Callable[[], object], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)


def test_two_engines_with_one_state_store_exclude_each_other(place: Place) -> None:
    # SPEC: T8
    one, other = place.config(), place.config()
    stop = threading.Event()
    with open_engine(units(one, "shop")[0], stop) as first, open_engine(units(other, "shop")[0], stop) as second:
        with first.leases.holding(stream_lease("shop")), pytest.raises(LeaseHeld):
            replicate(second, Request(once=True))
        replicate(second, Request(once=True))


def test_drainer_and_sensor_meet_in_the_state_store(place: Place, store: StateStore) -> None:
    # SPEC: D3 T8
    config = place.config()
    store.set_mandate("shop", MANDATE)
    process = threading.Thread(target=drain, args=(config, "shop", threading.Event(), drainer_label(config)))
    process.start()
    eventually(lambda: store.lease_holder(stream_lease("shop")))
    # Of another destination, so it can only have heard of it there.
    watcher = _Watcher(place.config(), "shop", ())
    _, _, seen = watcher._connections()
    assert seen.lease_holder(drain_lease("shop")) is not None
    assert "streams" in Drainer(config, "shop").keep(seen)
    seen.set_mandate("shop", MANDATE * 0)
    process.join(timeout=30)
    assert not process.is_alive()
    assert store.lease_holder(drain_lease("shop")) is None
    seen.close()


def test_status_and_checks_ask_the_state_store(place: Place, store: StateStore) -> None:
    # SPEC: T8 D4
    config = place.config()
    with open_engine(units(config, "shop")[0], threading.Event()) as engine:
        replicate(engine, Request(once=True))
        lease = store.take_lease(stream_lease("shop"), this_process("test"), LONG)
        assert {line.holder is not None for line in table_statuses(config, engine.destination, "shop")} == {True}
        inspection = Inspection(config, "shop", engine.source, engine.destination)
        assert "reached the source's end" in inspection.lag(TableId("shop", "users")).text
        store.release_lease(lease)
