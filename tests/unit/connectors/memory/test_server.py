"""The in-memory server logs each change, by transaction, and can forget."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from warp_resources.connectors.interfaces import ReadLimits, SourceScope
from warp_resources.connectors.memory.server import Delete, MemoryServer, Put
from warp_resources.connectors.memory.source import MemorySource, MemorySourceOptions
from warp_resources.errors import HistoryLost, OperatorError

SCOPE = SourceScope("shop", "shop_db")
NO_WAIT = timedelta(0)


@pytest.fixture
def server() -> Iterator[MemoryServer]:
    MemoryServer.forget("unit")
    yield MemoryServer.named("unit")
    MemoryServer.forget("unit")


@pytest.fixture
def source(server: MemoryServer) -> MemorySource:
    return MemorySource(MemorySourceOptions(server="unit"))


def test_rows_are_copied_in(server: MemoryServer) -> None:
    row = {"_id": 1, "tags": ["a"]}
    server.put("shop_db", "users", row)
    row["tags"].append("b")
    assert server.rows("shop_db", "users")[0][1] == {"_id": 1, "tags": ["a"]}


def test_a_row_needs_its_key(server: MemoryServer) -> None:
    server.create_table("shop_db", "lines", key=("order", "line"))
    with pytest.raises(OperatorError, match="lacks its key"):
        server.put("shop_db", "lines", {"order": 1})
    server.put("shop_db", "lines", {"order": 1, "line": 2})
    server.delete("shop_db", "lines", (1, 2), (9, 9))
    assert server.tables("shop_db") == {"lines": 0}


def test_a_transaction_is_one_cut_beyond_the_number_of_rows(server: MemoryServer, source: MemorySource) -> None:
    start = source.log_end(SCOPE)
    server.commit("shop_db", [Put("users", {"_id": number}) for number in range(5)] + [Delete("users", 0)])
    server.put("shop_db", "users", {"_id": 9})
    stream = source.stream(SCOPE, start)
    first = stream.next(ReadLimits(2, 2**20), NO_WAIT)
    second = stream.next(ReadLimits(2, 2**20), NO_WAIT)
    assert first is not None
    assert second is not None
    assert (first.event_count, first.tables[0].row_count, first.tables[0].delete_count) == (6, 4, 1)
    assert second.tables[0].row_count == 1
    assert stream.next(ReadLimits(2, 2**20), NO_WAIT) is None


def test_a_transaction_beyond_the_bytes_is_cut_inside(server: MemoryServer, source: MemorySource) -> None:
    start = source.log_end(SCOPE)
    server.put("shop_db", "users", *({"_id": number, "text": "x" * 100} for number in range(6)))
    stream = source.stream(SCOPE, start)
    sizes = []
    while (changes := stream.next(ReadLimits(None, 300), NO_WAIT)) is not None:
        sizes.append(changes.event_count)
    assert sum(sizes) == 6
    assert max(sizes) < 6


# SPEC: R4
def test_a_trimmed_log_is_lost_history(server: MemoryServer, source: MemorySource) -> None:
    start = source.log_end(SCOPE)
    server.put("shop_db", "users", {"_id": 1})
    stream = source.stream(SCOPE, start)
    server.trim_log()
    with pytest.raises(HistoryLost):
        stream.next(ReadLimits(None, 2**20), NO_WAIT)
    with pytest.raises(HistoryLost):
        source.stream(SCOPE, start)
    now = source.stream(SCOPE, source.log_end(SCOPE))
    server.put("shop_db", "users", {"_id": 2})
    changes = now.next(ReadLimits(None, 2**20), NO_WAIT)
    assert changes is not None
    assert changes.tables[0].row_count == 1


def test_changes_elsewhere_move_the_position_only(server: MemoryServer, source: MemorySource) -> None:
    start = source.log_end(SCOPE)
    server.put("other_db", "users", {"_id": 1})
    changes = source.stream(SCOPE, start).next(ReadLimits(None, 2**20), NO_WAIT)
    assert changes is not None
    assert (changes.tables, changes.event_count) == ((), 0)
    assert source.is_reached(changes.position, source.log_end(SCOPE))
