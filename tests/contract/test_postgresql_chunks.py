"""Chunks beside a running stream in PostgreSQL: what they may overwrite, and how fast they enter."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import psycopg
import pytest
from pydantic import SecretStr

from tests.contract.postgresql_lab import CREATE, RUN, Lab, Reading, column, conformed, letter, opened, schema_of
from warp_resources.connectors.postgresql import closing, patience, table_commit
from warp_resources.connectors.postgresql.destination import PostgresDestination
from warp_resources.connectors.postgresql.options import PostgresOptions
from warp_resources.errors import FencedOut, OperatorError, TableFailure
from warp_resources.model.batches import ConformedBatch
from warp_resources.model.positions import ChunkCommit, KeyRange
from warp_resources.model.tables import ChangeKind, Kind, SchemaChange

pytestmark = pytest.mark.servers

USERS = schema_of(column("_id", Kind.INT64), column("name", Kind.TEXT))
TABLE = USERS.table


def rows(**values: str) -> dict[str, list[object]]:
    """Rows by key: ``rows(k1="a")`` is the key 1 with the name a."""
    return {"_id": [int(key[1:]) for key in values], "name": list(values.values())}


@pytest.fixture
def lab(warehouse: str) -> Iterator[Lab]:
    yield from opened(warehouse)


def wait_for_waiters(lab: Lab, count: int) -> None:
    """Until so many connections wait for a lock in this database."""
    waiting = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    deadline = time.monotonic() + 30
    while lab.connection.execute(waiting.encode()).fetchall() != [(count,)]:
        assert time.monotonic() < deadline, "nobody waits for the lock"


@pytest.fixture
def copies(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each attempt at a straight COPY went through."""
    outcomes: list[bool] = []
    copy_tail = table_commit.copy_tail

    def watched(*arguments: object, **named: object) -> bool:
        outcomes.append(copy_tail(*arguments, **named))  # type: ignore[arg-type]
        return outcomes[-1]

    monkeypatch.setattr(table_commit, "copy_tail", watched)
    return outcomes


def test_a_chunk_never_overwrites_newer_rows(lab: Lab) -> None:
    # DESIGN: Snapshot 3
    lab.write(conformed(USERS, rows(k1="old", k2="old"), changes=CREATE))
    reading = Reading.open(lab, USERS)
    reading.begin()
    lab.write(conformed(USERS, rows(k2="stream", k3="stream")))
    receipt = reading.chunk(conformed(USERS, rows(k1="chunk", k2="chunk", k3="chunk", k4="chunk")))
    assert receipt.rows_written == 2
    assert lab.rows(USERS) == [("1", "chunk"), ("2", "stream"), ("3", "stream"), ("4", "chunk")]
    reading.begin()
    reading.chunk(conformed(USERS, rows(k2="chunk")))
    assert lab.rows(USERS)[1] == ("2", "chunk")


def test_a_chunk_of_the_stream_itself_does_not_wait_for_a_lock_on_its_table(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    # SPEC: M3  FAULTS: 17
    monkeypatch.setattr(patience, "_LONG", "100ms")
    lab.write(conformed(USERS, rows(k1="old"), changes=CREATE))
    reading = Reading.open(lab, USERS)
    reading.begin()
    commit = ChunkCommit(TABLE, reading.name, "slice-00", reading.epoch, reading.basis, "x", False, holds_stream=True)
    with psycopg.connect(lab.uri) as other:
        other.execute("lock table shop.users in share mode")
        with pytest.raises(TableFailure, match="lock"):
            lab.commit(conformed(USERS, rows(k1="chunk")), commit)
    lab.commit(conformed(USERS, rows(k1="chunk")), commit)
    assert lab.rows(USERS) == [("1", "chunk")]


def test_a_chunk_never_revives_a_deleted_key(lab: Lab) -> None:
    lab.write(conformed(USERS, rows(k1="old"), changes=CREATE))
    reading = Reading.open(lab, USERS)
    reading.begin()
    # One key was there, the other never.
    lab.write(conformed(USERS, deletes=[1, 2]))
    assert reading.chunk(conformed(USERS, rows(k1="chunk", k2="chunk", k3="chunk"))).rows_written == 1
    assert lab.rows(USERS) == [("3", "chunk")]
    # A chunk that is read later has seen the delete, so the key is new.
    reading.begin()
    reading.chunk(conformed(USERS, rows(k1="again")))
    assert lab.rows(USERS) == [("1", "again"), ("3", "chunk")]
    assert lab.metadata("count(*) from @tombstones") == [(2,)]
    reading.finish()
    assert lab.metadata("count(*) from @tombstones") == [(0,)]


@pytest.mark.parametrize("is_resumed", [False, True], ids=["first chunk", "later chunk"])
def test_a_delete_that_commits_while_a_chunk_is_staged_for_a_copy_is_not_undone(
    lab: Lab, warehouse: str, copies: list[bool], is_resumed: bool
) -> None:
    # SPEC: M5, X1
    lab.write(conformed(USERS, changes=CREATE))
    reading = Reading.open(lab, USERS)
    if is_resumed:
        reading.begin()
        reading.chunk(conformed(USERS, rows(k1="chunk")), resume="1")
    reading.begin()
    reader = PostgresDestination(PostgresOptions(connection_string=SecretStr(warehouse)))
    commit = ChunkCommit(TABLE, reading.name, "slice-00", reading.epoch, reading.basis, "9", False)
    chunk = conformed(USERS, rows(k1="chunk", k2="chunk", k3="chunk"), letters=(letter(TABLE, "2", "name"),))
    with ThreadPoolExecutor() as pool, psycopg.connect(warehouse) as blocker:
        own_row = "table_name = 'users' and marker_type <> 'snapshot'"
        blocker.execute(f"select from cartridge_warp_metadata.sync_markers where {own_row} for update".encode())
        deleting = pool.submit(lab.write, conformed(USERS, deletes=[2]))
        wait_for_waiters(lab, 1)
        copying = pool.submit(reader.write, ConformedBatch((chunk,), commit, RUN))
        wait_for_waiters(lab, 2)
        blocker.rollback()
        deleting.result()
        copying.result()
    reader.close()
    assert lab.rows(USERS) == [("1", "chunk"), ("3", "chunk")]
    assert copies == [True] * is_resumed
    assert lab.metadata("key_text, status from @dead_letters") == [("2", "superseded")]


def test_stale_rows_go_when_the_generation_closes(lab: Lab) -> None:
    # DESIGN: Snapshot 4
    lab.write(conformed(USERS, rows(k1="kept", k2="stale", k3="touched"), changes=CREATE))
    reading = Reading.open(lab, USERS)
    reading.begin()
    reading.chunk(conformed(USERS, rows(k1="kept")))
    lab.write(conformed(USERS, rows(k3="touched")))
    assert reading.finish() == 1
    assert lab.rows(USERS) == [("1", "kept"), ("3", "touched")]
    assert lab.metadata("primary_key, cause from @deletion_log") == [('{"_id": 2}', "stale")]
    assert lab.destination.table_states("shop")["users"].is_loaded
    assert lab.destination.generations("shop") == []
    assert reading.lab.destination.close_generation(TABLE, reading.name, RUN) == 0


@pytest.mark.parametrize("rewrite", ["alter", "vacuum full"])
def test_a_table_that_is_rewritten_while_it_is_cleaned_is_cleaned_anew(
    lab: Lab, warehouse: str, monkeypatch: pytest.MonkeyPatch, rewrite: str
) -> None:
    # DESIGN: Snapshot 4
    count = 1_000
    lab.write(conformed(USERS, {"_id": range(count), "name": ["x"] * count}, changes=CREATE))
    reading = Reading.open(lab, USERS)
    other = Lab(warehouse, PostgresDestination(PostgresOptions(connection_string=SecretStr(warehouse))), lab.connection)
    other.stream = lab.stream
    cleaned: list[int | None] = []
    clean = closing._clean

    def watched(*arguments: object) -> int | None:
        cleaned.append(clean(*arguments))  # type: ignore[arg-type]
        if len(cleaned) == 1 and rewrite == "alter":
            # The key becomes text, and what lies behind moves into the room that the removed rows leave.
            key = column("_id", Kind.TEXT, family="mixed")
            after = replace(schema_of(key, column("name", Kind.TEXT)), version=2)
            change = SchemaChange(ChangeKind.KEY_TO_JSON, key, column("_id", Kind.INT64))
            other.write(conformed(after, changes=(change,)))
        elif len(cleaned) == 1:
            lab.connection.execute("vacuum full shop.users")
        return cleaned[-1]

    monkeypatch.setattr(closing, "_clean", watched)
    monkeypatch.setattr(closing, "_BLOCKS", 1)
    assert reading.finish() == count
    other.destination.close()
    assert cleaned[1] is None
    assert lab.destination.row_count(TABLE) == 0
    assert lab.metadata("count(*), count(distinct primary_key) from @deletion_log") == [(count, count)]


def test_quarantined_keys_are_not_stale(lab: Lab) -> None:
    lab.write(conformed(USERS, rows(k1="a", k2="b", k3="c"), changes=CREATE))
    lab.write(conformed(USERS, letters=(letter(TABLE, "3"),)))
    reading = Reading.open(lab, USERS)
    reading.begin()
    reading.chunk(conformed(USERS, rows(k1="a"), letters=(letter(TABLE, "2"),)))
    # The letter of key 3 is from before: this reading did not see it.
    assert reading.finish() == 1
    assert [row[0] for row in lab.rows(USERS)] == ["1", "2"]


def test_one_slice_alone_removes_nothing(lab: Lab) -> None:
    lab.write(conformed(USERS, rows(k1="a"), changes=CREATE))
    lab.destination.save_plan(TABLE, [KeyRange(None, "5"), KeyRange("5", None)])
    state = lab.destination.open_generation(TABLE, "window", ["slice-01"])
    assert (state.is_whole, [part.name for part in state.slices]) == (False, ["slice-01"])
    epoch, part = lab.destination.seize_slice(TABLE, "window", "slice-01")
    assert part.range == KeyRange("5", None)
    lab.commit(conformed(USERS), ChunkCommit(TABLE, "window", "slice-01", epoch, 1, None, True))
    assert lab.destination.close_generation(TABLE, "window", RUN) == 0
    assert lab.rows(USERS) == [("1", "a")]
    assert not lab.destination.table_states("shop")["users"].is_loaded


def test_slices_that_join_one_generation_make_it_whole(lab: Lab) -> None:
    lab.destination.save_plan(TABLE, [KeyRange(None, "5"), KeyRange("5", None)])
    assert not lab.destination.open_generation(TABLE, "backfill", ["slice-00"]).is_whole
    assert lab.destination.open_generation(TABLE, "backfill", ["slice-01"]).is_whole
    with pytest.raises(OperatorError, match="not in the table's plan"):
        lab.destination.open_generation(TABLE, "backfill", ["slice-02"])
    with pytest.raises(OperatorError, match="Not every slice"):
        lab.destination.close_generation(TABLE, "backfill", RUN)


def test_a_slice_is_taken_up_where_it_was_left(lab: Lab) -> None:
    first = Reading.open(lab, USERS)
    first.begin()
    first.chunk(conformed(USERS, rows(k1="a"), changes=CREATE), resume="1")
    epoch, part = lab.destination.seize_slice(TABLE, first.name, "slice-00")
    assert (epoch, part.resume, part.is_done) == (first.epoch + 1, "1", False)
    with pytest.raises(FencedOut):
        first.chunk(conformed(USERS, rows(k2="b")))
    marker = lab.metadata("position from @sync_markers where marker_type = 'snapshot'")
    assert marker == [({"generation": first.name, "resume": "1", "done": False, "high": None},)]


def test_a_reader_of_an_ended_generation_is_shut_out(lab: Lab) -> None:
    reading = Reading.open(lab, USERS)
    reading.begin()
    lab.destination.abandon_generation(TABLE, reading.name, "test")
    with pytest.raises(FencedOut):
        reading.chunk(conformed(USERS, rows(k1="a"), changes=CREATE))
    with pytest.raises(OperatorError, match="not open"):
        lab.destination.seize_slice(TABLE, reading.name, "slice-00")


def test_a_batch_table_takes_the_highest_marker_of_its_slices(lab: Lab) -> None:
    lab.destination.seize_table(TABLE, "batch")
    lab.destination.save_plan(TABLE, [KeyRange(None, "5"), KeyRange("5", None)])
    lab.destination.open_generation(TABLE, "load")
    for name, value in (("slice-00", "2024-05-01"), ("slice-01", "2024-01-01")):
        epoch, _ = lab.destination.seize_slice(TABLE, "load", name)
        high: dict[str, object] = {"column": "at", "value": value}
        lab.commit([], ChunkCommit(TABLE, "load", name, epoch, 0, None, True, high))
    lab.destination.close_generation(TABLE, "load", RUN)
    assert lab.destination.table_states("shop")["users"].position == {"column": "at", "value": "2024-05-01"}


def test_a_first_load_is_copied_straight(lab: Lab, copies: list[bool]) -> None:
    reading = Reading.open(lab, USERS)
    size = 1_000
    for number in range(4):
        # The row at the bound comes again, changed meanwhile.
        keys = range(max(0, number * size - 1), (number + 1) * size)
        reading.begin()
        part = conformed(USERS, {"_id": keys, "name": [str(number)] * len(keys)}, changes=() if number else CREATE)
        assert reading.chunk(part, resume=str(keys[-1])).rows_written == len(keys)
    assert copies == [True] * 4
    assert lab.destination.row_count(TABLE) == 4 * size
    assert dict(lab.rows(USERS))["999"] == "1"
    sequences = lab.connection.execute(
        "select _warp_sequence, count(*) from shop.users group by 1 order by 1"
    ).fetchall()
    assert sequences == [(1, 999), (2, 1000), (3, 1000), (4, 1001)]
    assert reading.finish() == 0


def test_straight_and_merged_rows_are_the_same(lab: Lab, copies: list[bool]) -> None:
    kinds = [Kind.BOOL, Kind.DOUBLE, Kind.TEXT, Kind.BINARY, Kind.JSON, Kind.DATE]
    schema = schema_of(column("_id", Kind.INT64), *(column(str(kind), kind) for kind in kinds))
    values: dict[str, list[object]] = {
        "_id": [1, 2],
        "bool": [True, None],
        "double": [0.1, float("nan")],
        "text": ["é", ""],
        "binary": [b"\x00", None],
        "json": ['{"a": [1]}', None],
        "date": [0, None],
    }
    reading = Reading.open(lab, schema)
    reading.begin()
    reading.chunk(conformed(schema, values, changes=CREATE))
    copied = lab.rows(schema)
    reading.begin()
    lab.connection.execute("truncate shop.users")
    lab.write(conformed(schema, values))
    assert copies == [True]
    assert lab.rows(schema) == copied


@pytest.mark.parametrize("touched_by", ["row at the bound only", "another row", "stream", "second generation"])
def test_rows_that_are_there_already_are_merged(lab: Lab, copies: list[bool], touched_by: str) -> None:
    reading = Reading.open(lab, USERS)
    reading.begin()
    reading.chunk(conformed(USERS, rows(k1="1", k2="1", k3="1"), changes=CREATE), resume="3")
    reading.begin()
    if touched_by == "stream":
        lab.write(conformed(USERS, rows(k5="stream")))
    if touched_by == "second generation":
        lab.destination.open_generation(TABLE, "other")
    chunk = rows(k3="2", k4="2", k5="2")
    if touched_by == "another row":
        chunk = rows(k3="2", k2="2", k4="2", k5="2")
    reading.chunk(conformed(USERS, chunk))
    expected = {"1": "1", "2": "1", "3": "2", "4": "2", "5": "2"}
    if touched_by == "another row":
        expected["2"] = "2"
    if touched_by == "stream":
        expected["5"] = "stream"
    assert dict(lab.rows(USERS)) == expected
    outcome = {"row at the bound only": [True], "another row": [False]}.get(touched_by, [])
    assert copies == [True, *outcome]


def test_a_retried_chunk_changes_nothing(lab: Lab) -> None:
    # FAULTS: 1, 23
    reading = Reading.open(lab, USERS)
    reading.begin()
    part = rows(k1="a", k2="b")
    reading.chunk(conformed(USERS, part, changes=CREATE), resume="2")
    before = lab.rows(USERS)
    assert reading.chunk(conformed(USERS, part), resume="2").rows_written == 0
    assert lab.rows(USERS) == before


def test_letters_of_rows_that_a_failed_copy_leaves_out_are_superseded(lab: Lab, copies: list[bool]) -> None:
    reading = Reading.open(lab, USERS)
    reading.begin()
    chunk = rows(k1="a", k2="b")
    reading.chunk(conformed(USERS, chunk, changes=CREATE), resume="2")
    reading.chunk(conformed(USERS, chunk, letters=(letter(TABLE, "2", "name"),)), resume="2")
    assert copies == [True, False]
    assert lab.metadata("status from @dead_letters") == [("superseded",)]


def test_letters_of_outdated_rows_are_superseded_at_once(lab: Lab) -> None:
    lab.write(conformed(USERS, rows(k1="old", k2="old"), changes=CREATE))
    reading = Reading.open(lab, USERS)
    reading.begin()
    lab.write(conformed(USERS, rows(k1="stream"), deletes=[2]))
    letters = tuple(letter(TABLE, key, "name") for key in "123")
    reading.chunk(conformed(USERS, rows(k1="x", k2="x", k3="x"), letters=letters))
    shown = lab.metadata("key_text, status, basis < sequence from @dead_letters order by 1")
    assert shown == [("1", "superseded", True), ("2", "superseded", True), ("3", "pending", True)]


def test_an_old_chunk_leaves_newer_letters_pending(lab: Lab) -> None:
    lab.write(conformed(USERS, rows(k1="old"), changes=CREATE, letters=(letter(TABLE, "2"),)))
    reading = Reading.open(lab, USERS)
    reading.begin()
    lab.write(conformed(USERS, letters=(letter(TABLE, "1"),)))
    reading.chunk(conformed(USERS, rows(k1="x", k2="x")))
    assert lab.metadata("key_text, status from @dead_letters order by 1") == [("1", "pending"), ("2", "superseded")]


def test_a_table_that_was_dropped_in_the_middle_of_a_reading_is_read_from_its_start(lab: Lab) -> None:
    # SPEC: M5  FAULTS: 14
    lab.write(conformed(USERS, rows(k1="old"), changes=CREATE))
    reading = Reading.open(lab, USERS)
    reading.begin()
    reading.chunk(conformed(USERS, rows(k1="chunk")), resume="1")
    lab.connection.execute("drop table shop.users")
    reading.begin()
    with pytest.raises(TableFailure, match="cartridge-warp resync --table shop"):
        reading.chunk(conformed(USERS, rows(k2="chunk")), resume="2")
    assert Reading.open(lab, USERS, reading.name).epoch > reading.epoch
    [opened] = lab.destination.generations("shop")
    assert [part.resume for part in opened.slices] == [None]
    assert not lab.destination.table_states("shop")["users"].is_loaded
    with pytest.raises(FencedOut):
        reading.chunk(conformed(USERS, rows(k2="chunk")), resume="2")
    again = Reading.open(lab, USERS, reading.name)
    again.begin()
    again.chunk(conformed(USERS, rows(k1="chunk", k2="chunk")))
    again.finish()
    assert lab.rows(USERS) == [("1", "chunk"), ("2", "chunk")]
    assert lab.destination.table_states("shop")["users"].is_loaded
