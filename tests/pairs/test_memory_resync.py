"""A resync of one table that loses its connections, and tells how far it is."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.pairs.test_memory_engine import USERS, Shop
from warp_resources.connectors.memory.destination import MemoryDestination
from warp_resources.connectors.memory.source import MemorySource
from warp_resources.errors import TransientError
from warp_resources.pipeline.engine import Engine, units
from warp_resources.pipeline.parallel import ReadingWish
from warp_resources.pipeline.reading_progress import ReadingProgress
from warp_resources.pipeline.resync import Resync

ROWS, SLICES = 80, 8
QUICK = {"max_retries": 3, "backoff_factor": 1.0, "max_backoff_seconds": 1}
MODES = pytest.mark.parametrize("mode", ["stream", "batch"])


@dataclass
class Attempts:
    """What a resync told, and how often it began."""

    told: list[ReadingProgress] = field(default_factory=list)
    begun: list[str | None] = field(default_factory=list)

    def run(self, shop: Shop) -> None:
        [unit] = units(shop.config, "shop", ("users",))
        Resync(unit, "users", ReadingWish(on_progress=self.told.append), self._begin).run(threading.Event())

    def _begin(self, engine: Engine, generation: str | None) -> None:
        self.begun.append(generation)


def shop_of(mode: str) -> Shop:
    shop = Shop(QUICK, mode=mode)
    for number in range(ROWS):
        shop.server.put("shop", "users", {"_id": number, "n": number})
    shop.run_once()
    return shop


def failing(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, when: Callable[[int], bool]) -> list[int]:
    """Lose the connection at some of a method's calls, once its work is done; the calls so far."""
    calls: list[int] = []
    work = getattr(owner, name)

    def call(self: Any, *arguments: Any, **options: Any) -> Any:
        calls.append(len(calls))
        answer = work(self, *arguments, **options)
        if when(len(calls)):
            raise TransientError("The connection is lost")
        return answer

    monkeypatch.setattr(owner, name, call)
    return calls


@MODES
def test_a_lost_connection_is_waited_out_and_what_was_read_is_not_read_again(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # SPEC: M5, R3
    shop = shop_of(mode)
    chunks = failing(monkeypatch, MemorySource, "read_chunk", lambda count: count in (3, 6))
    attempts = Attempts()
    attempts.run(shop)
    assert len(chunks) == SLICES + 2
    assert attempts.begun == [None]
    assert (attempts.told[-1].rows, attempts.told[-1].slices_done) == (ROWS, SLICES)
    assert [one.rows for one in attempts.told] == sorted(one.rows for one in attempts.told)
    assert shop.destination.generations("shop") == []


@MODES
def test_an_answer_that_is_lost_at_the_end_begins_nothing_anew(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # SPEC: M5  FAULTS: 1
    shop = shop_of(mode)
    chunks = failing(monkeypatch, MemorySource, "read_chunk", lambda count: False)
    failing(monkeypatch, MemoryDestination, "close_generation", lambda count: count == 1)
    Attempts().run(shop)
    assert len(chunks) == SLICES
    assert shop.destination.generations("shop") == []
    assert shop.destination.table_states("shop")["users"].is_loaded


def test_an_incident_that_lasts_ends_it_and_the_next_one_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    # SPEC: M5, R3
    shop = shop_of("stream")
    with monkeypatch.context() as fault:
        failing(fault, MemorySource, "read_chunk", lambda count: count > 2)
        with pytest.raises(TransientError):
            Attempts().run(shop)
    [left] = shop.destination.generations("shop")
    attempts = Attempts()
    attempts.run(shop)
    assert attempts.begun == [left.generation]
    assert attempts.told[0].rows == 2 * ROWS // SLICES
    assert shop.destination.row_count(USERS) == ROWS


def test_a_table_that_is_made_anew_while_it_is_read_keeps_its_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    # SPEC: M5, X3
    shop = shop_of("batch")
    work, calls = MemorySource.read_chunk, list[int]()

    def read_chunk(source: MemorySource, *arguments: Any) -> Any:
        calls.append(len(calls))
        if len(calls) == 3:
            shop.server.drop_table("shop", "users")
        chunk = work(source, *arguments)
        if len(calls) == 3:
            shop.server.put("shop", "users", *({"_id": number, "n": number} for number in range(ROWS)))
        return chunk

    monkeypatch.setattr(MemorySource, "read_chunk", read_chunk)
    Attempts().run(shop)
    assert len(calls) == 3, "the reading ends at once"
    assert shop.destination.generations("shop") == []
    assert shop.destination.row_count(USERS) == ROWS
    Attempts().run(shop)
    assert len(calls) == 3 + SLICES
    assert shop.destination.row_count(USERS) == ROWS
