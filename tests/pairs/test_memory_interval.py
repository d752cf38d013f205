"""A destination that is to be written at most so often gets few commits, exact ones, and nobody waits for it."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from tests.pairs.process import eventually
from warp_resources import WarpConfig, WarpRunner
from warp_resources.connectors.memory.destination import MemoryDestination, MemoryOptions
from warp_resources.connectors.memory.server import MemoryServer
from warp_resources.connectors.memory.stream import LOG
from warp_resources.model.tables import TableId
from warp_resources.pipeline import stream_run
from warp_resources.pipeline.arrival import noted_place, seconds_to_arrive
from warp_resources.pipeline.engine import open_engine, units
from warp_resources.pipeline.unit_process import _seconds_to_next

USERS = TableId("shop", "users")


class Shop:
    """A server and the destination that is written at most every ``interval``."""

    def __init__(self, interval: str, **schema: object) -> None:
        name = uuid.uuid4().hex
        self.server = MemoryServer.named(name)
        self.server.create_table("shop", "users")
        self.destination = MemoryDestination(MemoryOptions(store=name))
        self.config = WarpConfig.model_validate(
            {
                "source": {"type": "memory", "server": name, "database": "shop"},
                "destination": {"type": "memory", "store": name, "min_interval": interval},
                "schemas": [{"name": "shop", **schema}],
            }
        )

    def put(self, *numbers: int) -> None:
        for number in numbers:
            self.server.put("shop", "users", {"_id": number})

    def ids(self) -> set[object]:
        return {row["_id"] for row in self.destination.rows(USERS)}

    def commits(self) -> int:
        state = self.destination.stream_state("shop")
        return 0 if state is None else state.sequence

    def has_reached_the_end(self) -> bool:
        state = self.destination.stream_state("shop")
        return state is not None and state.position == {LOG: self.server.end}

    @contextmanager
    def running(self) -> Iterator[None]:
        """The stream goes on within the block, and has ended after it."""
        runner = WarpRunner(self.config)
        thread = threading.Thread(target=runner.start)
        thread.start()
        try:
            yield
        finally:
            runner.stop()
            thread.join(9)
        assert not thread.is_alive()


def test_a_steady_load_is_written_in_few_commits_with_exact_markers() -> None:
    # SPEC: C3 T7
    shop = Shop("1s")
    WarpRunner(shop.config).run_once()
    with shop.running():
        shop.put(-1)
        eventually(lambda: shop.ids() == {-1})
        before = shop.commits()
        for number in range(150):
            shop.put(number)
            threading.Event().wait(0.02)
        eventually(lambda: shop.ids() == {*range(-1, 150)})
        assert shop.has_reached_the_end()
        assert shop.commits() - before <= 8


def test_neither_a_stop_nor_a_single_pass_waits_and_the_next_start_goes_on_where_the_marker_is() -> None:
    # SPEC: C3 M6 L2
    shop = Shop("1h")
    WarpRunner(shop.config).run_once()
    with shop.running():
        shop.put(1)
        eventually(lambda: shop.ids() == {1})
        shop.put(2)
    assert shop.ids() == {1}
    WarpRunner(shop.config).run_once()
    assert shop.ids() == {1, 2}
    shop.put(3)
    WarpRunner(shop.config).run_once()
    assert shop.ids() == {1, 2, 3}
    assert shop.has_reached_the_end()


def test_a_backlog_is_written_at_once_however_small_its_cuts_are() -> None:
    # SPEC: C3
    shop = Shop("1h", stream_batch_size=10)
    WarpRunner(shop.config).run_once()
    shop.put(*range(100))
    with shop.running():
        eventually(lambda: shop.ids() == {*range(100)})


@pytest.mark.parametrize(("interval", "seconds"), [("1h", 3600), ("0s", 2), ("1s", 2)])
def test_batch_tables_are_not_looked_at_more_often_than_they_may_be_written(interval: str, seconds: float) -> None:
    # SPEC: C3
    shop = Shop(interval, mode="batch", polling_interval="2s")
    (unit,) = units(shop.config, "shop")
    with open_engine(unit, threading.Event()) as engine:
        assert _seconds_to_next(None, engine, ["users"]) == seconds


def test_a_stream_whose_place_is_saved_rarely_notes_how_far_it_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    # SPEC: D4 P1
    rarely = replace(MemoryDestination.capabilities, idle_save=timedelta(hours=1))
    monkeypatch.setattr(MemoryDestination, "capabilities", rarely)
    monkeypatch.setattr(stream_run, "NOTE_EVERY", timedelta(milliseconds=100))
    shop = Shop("1h", table_blacklist=["others"])
    WarpRunner(shop.config).run_once()
    (unit,) = units(shop.config, "shop")
    with open_engine(unit, threading.Event()) as engine, closing(shop.destination.state_store()) as store:
        measured = partial(seconds_to_arrive, engine.source, shop.destination, store, engine.scope)
        before = shop.commits()
        with shop.running():
            shop.server.put("shop", "others", {"_id": 1})
            assert measured(timedelta(seconds=20)) is not None
            assert shop.commits() == before
            assert not shop.has_reached_the_end()
            # The second one is collected with what else comes within the hour, and not passed over.
            shop.put(1)
            eventually(lambda: shop.ids() == {1})
            shop.put(2)
            assert measured(timedelta(seconds=1)) is None
        assert noted_place(store, "shop") is None
