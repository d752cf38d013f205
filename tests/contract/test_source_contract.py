"""What every source owes: slices that hold each key once, and a stream that misses nothing."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.contract.laboratories import SourceLab
from warp_resources.connectors.interfaces import ChangeStream, MarkedRange, ReadLimits, Source, SourceScope
from warp_resources.errors import OperatorError
from warp_resources.model.batches import Changes, RawColumn, TableBatch, TableEventKind
from warp_resources.model.positions import KeyRange, Position
from warp_resources.model.tables import TableId

LIMITS = ReadLimits(None, 2**24)
WAIT = timedelta(milliseconds=200)
PATIENCE_SECONDS = 30.0


def values(columns: tuple[RawColumn, ...], count: int) -> list[dict[str, Any]]:
    """Rows of a batch, each field with the value that one of its variants has."""
    rows: list[dict[str, Any]] = [{} for _ in range(count)]
    for column in columns:
        for variant in column.variants:
            assert len(variant.values) == count
            for row, value in zip(rows, variant.values.to_pylist(), strict=True):
                if value is not None:
                    assert column.name not in row, "variants are disjoint"
                    row[column.name] = value
    return rows


def rows_of(batch: TableBatch) -> list[dict[str, Any]]:
    return values(batch.columns, batch.row_count)


def deletes_of(batch: TableBatch) -> list[Any]:
    return [row["_id"] for row in values(batch.deletes, batch.delete_count)]


def chunks(source: Source, scope: SourceScope, table: str, part: KeyRange, limits: ReadLimits) -> Iterator[TableBatch]:
    resume = None
    while True:
        chunk = source.read_chunk(scope, table, part, resume, limits, None)
        yield chunk.batch
        if chunk.is_last:
            return
        assert chunk.resume is not None
        resume = chunk.resume


def drain(source: Source, stream: ChangeStream, target: Position, limits: ReadLimits = LIMITS) -> Iterator[Changes]:
    """Every cut up to a position."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        changes = stream.next(limits, WAIT)
        if changes is not None:
            yield changes
            if source.is_reached(changes.position, target):
                return
    raise AssertionError("the stream did not come to its target")


def applied(cuts: list[Changes], table: str) -> dict[Any, dict[str, Any]]:
    """What a table looks like after the cuts, from empty."""
    rows: dict[Any, dict[str, Any]] = {}
    for batch in (batch for cut in cuts for batch in cut.tables if batch.table.name == table):
        touched = [row["_id"] for row in rows_of(batch)] + deletes_of(batch)
        assert len(touched) == len(set(touched)), "each key at most once in a cut"
        rows |= {row["_id"]: row for row in rows_of(batch)}
        for key in deletes_of(batch):
            rows.pop(key, None)
    return rows


def test_tables_come_in_name_order_and_by_scope(source_lab: SourceLab) -> None:
    for name in ("users", "orders", "order_lines"):
        source_lab.put(name, {"_id": 1})
    source = source_lab.open()
    assert [table.name for table in source.tables(source_lab.scope())] == ["existing", "order_lines", "orders", "users"]
    scope = source_lab.scope("order*", "users", exclude=("*lines",))
    assert [table.name for table in source.tables(scope)] == ["orders", "users"]
    assert {table.name: table.row_estimate for table in source.tables(scope)} == {"orders": 1, "users": 1}


def test_a_source_that_works_passes_its_check(source_lab: SourceLab) -> None:
    source_lab.open().check(source_lab.scope(), log=False)


# SPEC: M2
def test_a_source_without_a_log_says_so(source_lab: SourceLab) -> None:
    source, scope = source_lab.open(), source_lab.scope()
    if "log" in source.capabilities.strategies:
        source.check(scope, log=True)
        return
    with pytest.raises(OperatorError, match="mode: batch"):
        source.check(scope, log=True)
    with pytest.raises(OperatorError, match="mode: batch"):
        source.stream(scope, {})
    assert source.log_window(scope) is None


def test_a_database_that_is_not_there_is_named(source_lab: SourceLab) -> None:
    with pytest.raises(OperatorError):
        source_lab.open().check(SourceScope("shop", f"{source_lab.database}x"), log=False)


def test_the_clock_is_in_utc(source_lab: SourceLab) -> None:
    now = source_lab.open().now()
    assert now.utcoffset() == timedelta(0)


# SPEC: M5
@pytest.mark.parametrize("slice_count", [1, 3, 8])
def test_the_slices_of_a_plan_hold_every_key_once(source_lab: SourceLab, slice_count: int) -> None:
    keys: list[Any] = [f"k{number}" for number in range(40)]
    keys += (
        [*range(40), 0.5, True] if source_lab.mixes_types else ['say "hi"', "back\\slash", "new\nline", "李雷", "😀"]
    )
    source_lab.put("mixed", *({"_id": key, "n": number} for number, key in enumerate(keys)))
    source, scope = source_lab.open(), source_lab.scope()
    plan = source.plan(scope, "mixed", slice_count)
    assert 1 <= len(plan) <= slice_count
    first = -5 if source_lab.mixes_types else "!"
    source_lab.put("mixed", {"_id": first, "n": 100}, {"_id": "zzz", "n": 101}, {"_id": "", "n": 102})

    read = [
        row["n"]
        for part in plan
        for batch in chunks(source, scope, "mixed", part, ReadLimits(7, 2**24))
        for row in rows_of(batch)
    ]
    assert sorted(set(read)) == [*range(len(keys)), 100, 101, 102]


def test_a_chunk_stays_within_its_limits(source_lab: SourceLab) -> None:
    source_lab.put("users", *({"_id": number, "text": "x" * 1000} for number in range(50)))
    source, scope = source_lab.open(), source_lab.scope()
    by_rows = list(chunks(source, scope, "users", KeyRange(), ReadLimits(9, 2**24)))
    assert max(batch.row_count for batch in by_rows) <= 9
    by_bytes = list(chunks(source, scope, "users", KeyRange(), ReadLimits(None, 10_000)))
    assert len(by_bytes) >= 4
    for batches in (by_rows, by_bytes):
        assert {row["_id"] for batch in batches for row in rows_of(batch)} == set(range(50))


@pytest.mark.parametrize("table", ["existing", "missing"])
def test_a_table_without_rows_is_one_empty_chunk(source_lab: SourceLab, table: str) -> None:
    source, scope = source_lab.open(), source_lab.scope()
    chunk = source.read_chunk(scope, table, KeyRange(), None, LIMITS, None)
    assert (chunk.batch.row_count, chunk.is_last) == (0, True)
    assert chunk.is_gone == (table == "missing")
    assert chunk.batch.table == TableId("shop", table)
    assert len(source.plan(scope, table, 4)) >= 1


# SPEC: E11
@pytest.mark.parametrize("table", ["existing", "not made yet"])
def test_a_source_says_which_key_its_rows_have(source_lab: SourceLab, table: str) -> None:
    source, scope = source_lab.open(), source_lab.scope()
    assert source.key(scope, table) == ("_id",)
    assert source.read_chunk(scope, table, KeyRange(), None, LIMITS, None).batch.key == ("_id",)


def test_a_row_keeps_its_original(source_lab: SourceLab) -> None:
    source_lab.put("users", {"_id": 7, "name": "Ann"})
    chunk = source_lab.open().read_chunk(source_lab.scope(), "users", KeyRange(), None, LIMITS, None)
    original = chunk.batch.original(0)
    assert original.encoding == "extended_json"
    assert set(json.loads(original.record)) == {"_id", "name"}
    assert set(json.loads(original.primary_key)) == {"_id"}


# SPEC: T7, X1
def test_the_stream_has_everything_after_its_start(logged_lab: SourceLab) -> None:
    logged_lab.put("users", {"_id": 1, "n": 0}, {"_id": 2, "n": 0})
    source, scope = logged_lab.open(), logged_lab.scope()
    start = source.log_end(scope)
    logged_lab.put("users", {"_id": 1, "n": 1}, {"_id": 3, "n": 1}, {"_id": 1, "n": 2}, {"_id": 4, "n": 1})
    logged_lab.put("orders", {"_id": "a", "n": 1})
    logged_lab.delete("users", 2, 4)
    stream = source.stream(scope, start)
    cuts = list(drain(source, stream, source.log_end(scope)))
    stream.close()

    assert applied(cuts, "users") == {1: {"_id": 1, "n": 2}, 3: {"_id": 3, "n": 1}}
    assert applied(cuts, "orders") == {"a": {"_id": "a", "n": 1}}
    assert {2, 4} <= {key for cut in cuts for batch in cut.tables for key in deletes_of(batch)}


# SPEC: T7
def test_a_stream_goes_on_from_any_position_it_gave(logged_lab: SourceLab) -> None:
    source, scope = logged_lab.open(), logged_lab.scope()
    start = source.log_end(scope)
    for number in range(12):
        logged_lab.put("users", {"_id": number, "n": number})
    end = source.log_end(scope)
    first = source.stream(scope, start)
    cuts = list(drain(source, first, end, ReadLimits(4, 2**24)))
    first.close()
    assert len([cut for cut in cuts if cut.tables]) >= 3
    for seen in range(len(cuts)):
        stored = json.loads(json.dumps(cuts[seen].position))
        again = source.stream(scope, stored)
        before = applied(cuts[: seen + 1], "users")
        after = {} if source.is_reached(stored, end) else applied(list(drain(source, again, end)), "users")
        again.close()
        assert before | after == {number: {"_id": number, "n": number} for number in range(12)}
        assert not before.keys() & after.keys(), "what was delivered is not delivered again"


def test_a_stream_that_was_closed_goes_on_at_the_same_place(logged_lab: SourceLab) -> None:
    # SPEC: C3
    source, scope = logged_lab.open(), logged_lab.scope("users")
    stream = source.stream(scope, source.log_end(scope))
    for number in range(3):
        logged_lab.put("users", {"_id": number})
        found = applied(list(drain(source, stream, source.log_end(scope))), "users")
        assert set(found) == {number}
        stream.close()
        stream.close()


def test_a_cut_stays_within_the_number_of_rows(logged_lab: SourceLab) -> None:
    source, scope = logged_lab.open(), logged_lab.scope()
    start = source.log_end(scope)
    for number in range(20):
        logged_lab.put("users", {"_id": number})
    stream = source.stream(scope, start)
    cuts = list(drain(source, stream, source.log_end(scope), ReadLimits(3, 2**24)))
    stream.close()
    assert max(batch.row_count for cut in cuts for batch in cut.tables) <= 3
    assert set(applied(cuts, "users")) == set(range(20))


def test_a_stream_reads_only_what_its_scope_covers(logged_lab: SourceLab) -> None:
    source = logged_lab.open()
    scope = logged_lab.scope("users")
    start = source.log_end(scope)
    logged_lab.put("orders", {"_id": 1})
    logged_lab.put("users", {"_id": 1})
    logged_lab.put("orders", {"_id": 2})
    stream = source.stream(scope, start)
    cuts = list(drain(source, stream, source.log_end(scope)))
    stream.close()
    assert {batch.table for cut in cuts for batch in cut.tables} == {TableId("shop", "users")}


def test_positions_tell_what_they_have_reached(logged_lab: SourceLab) -> None:
    source, scope = logged_lab.open(), logged_lab.scope()
    before = source.log_end(scope)
    logged_lab.put("users", {"_id": 1})
    after = source.log_end(scope)
    assert source.has_delivered(after, before)
    assert source.has_delivered(before, before)
    assert not source.has_delivered(before, after)
    assert source.is_reached(before, before)
    assert source.is_reached(after, before)
    assert not source.is_reached(before, after)
    # Another process asks with a position that has been to the destination and back.
    assert logged_lab.open().is_reached(json.loads(json.dumps(after)), after)


# SPEC: X3
def test_a_dropped_table_is_an_event(logged_lab: SourceLab) -> None:
    logged_lab.put("users", {"_id": 1})
    source, scope = logged_lab.open(), logged_lab.scope()
    start = source.log_end(scope)
    logged_lab.drop("users")
    logged_lab.put("orders", {"_id": 1})
    stream = source.stream(scope, start)
    cuts = list(drain(source, stream, source.log_end(scope)))
    stream.close()
    events = [event for cut in cuts for event in cut.events]
    assert [(event.kind, event.table) for event in events] == [(TableEventKind.DROPPED, TableId("shop", "users"))]
    assert set(applied(cuts, "orders")) == {1}


def at(day: int) -> datetime:
    return datetime(2024, 1, day, tzinfo=UTC)


# SPEC: D7
@pytest.mark.parametrize(
    ("since", "until", "unmarked", "expected"),
    [
        (None, None, True, {1, 2, 3, 4, 5, 6}),
        (at(2), at(3), False, {2}),
        (at(2), None, False, {2, 3}),
        (None, at(2), False, {1}),
        (at(4), None, True, {4, 5, 6}),
        (at(4), None, False, set()),
    ],
)
def test_a_marked_range_is_half_open(
    source_lab: SourceLab, since: datetime | None, until: datetime | None, unmarked: bool, expected: set[int]
) -> None:
    source_lab.put("users", *({"_id": day, "updated_at": at(day)} for day in (1, 2, 3)))
    source_lab.put("users", {"_id": 4}, {"_id": 5, "updated_at": None}, {"_id": 6, "updated_at": "soon"})
    marked = MarkedRange("updated_at", since, until, unmarked)
    batches = list(source_lab.open().read_marked(source_lab.scope(), "users", marked, ReadLimits(2, 2**24)))
    assert all(batch.row_count <= 2 for batch in batches)
    assert {row["_id"] for batch in batches for row in rows_of(batch)} == expected
