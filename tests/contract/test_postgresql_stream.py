"""Commits to PostgreSQL: fence, order, deletes, dead letters and counts, in one transaction."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.contract.postgresql_lab import CREATE, RUN, Lab, Reading, column, conformed, letter, opened, schema_of
from warp_resources.errors import FencedOut, OperatorError, SchemaMoved
from warp_resources.model.batches import ConformedBatch, ErrorEntry
from warp_resources.model.positions import BatchCommit, StreamCommit
from warp_resources.model.tables import Kind, TableId

pytestmark = pytest.mark.servers

USERS = schema_of(column("_id", Kind.INT64), column("name", Kind.TEXT))
ORDERS = schema_of(column("_id", Kind.INT64), column("name", Kind.TEXT), table=TableId("shop", "orders"))
PAIRS = schema_of(
    column("a", Kind.INT64),
    column("b", Kind.TEXT),
    column("v", Kind.TEXT),
    table=TableId("shop", "pairs"),
    key=("a", "b"),
)
ONE, TWO = {"_id": [1], "name": ["one"]}, {"_id": [2], "name": ["two"]}


@pytest.fixture
def lab(warehouse: str) -> Iterator[Lab]:
    yield from opened(warehouse)


def test_the_position_moves_with_the_rows(lab: Lab) -> None:
    # SPEC: T7
    receipt = lab.write(conformed(USERS, ONE, changes=CREATE), conformed(ORDERS, TWO, changes=CREATE))
    assert {str(table): part.sequence for table, part in receipt.tables.items()} == {"shop.orders": 1, "shop.users": 1}
    state = lab.destination.stream_state("shop")
    assert state is not None
    assert (state.sequence, state.position) == (lab.stream.sequence, {"at": 1})
    assert lab.connection.execute("select _id, _warp_sequence from shop.orders").fetchall() == [(2, 1)]
    runs = lab.metadata("table_name, mode, status, rows_written, end_position from @sync_runs order by 1")
    assert runs == [("orders", "stream", "running", 1, {"at": 1}), ("users", "stream", "running", 1, {"at": 1})]


def test_a_cut_without_rows_moves_the_position(lab: Lab) -> None:
    lab.write()
    state = lab.destination.stream_state("shop")
    assert state is not None
    assert state.position == {"at": 1}


@pytest.mark.parametrize("stale", ["epoch", "sequence"])
def test_the_fence_refuses_an_overtaken_writer(lab: Lab, stale: str) -> None:
    # SPEC: T8
    lab.write(conformed(USERS, ONE, changes=CREATE))
    before = lab.stream_commit()
    if stale == "epoch":
        lab.stream = lab.destination.seize_stream("shop")
    else:
        lab.write(conformed(USERS, TWO))
    with pytest.raises(FencedOut):
        lab.commit(conformed(USERS, {"_id": [1], "name": ["late"]}), before)
    assert lab.rows(USERS)[0] == ("1", "one")
    lab.write(conformed(USERS, {"_id": [1], "name": ["next"]}))
    assert lab.rows(USERS)[0] == ("1", "next")


def test_a_moved_schema_commits_nothing(lab: Lab) -> None:
    lab.write(conformed(USERS, ONE, changes=CREATE))
    for part in (conformed(USERS, TWO, changes=CREATE), conformed(replace(USERS, version=2), TWO)):
        with pytest.raises(SchemaMoved):
            lab.write(part)
    assert lab.rows(USERS) == [("1", "one")]
    assert lab.destination.stream_state("shop") == replace(
        lab.stream, position={"at": 1}, updated_at=lab.destination.stream_state("shop").updated_at
    )


def test_a_table_that_is_not_ours_is_refused(lab: Lab) -> None:
    lab.connection.execute("create schema shop create table users (_id bigint)")
    with pytest.raises(OperatorError, match=r"did not make.*Rename or drop it"):
        lab.write(conformed(USERS, ONE, changes=CREATE))
    assert lab.destination.table_schemas("shop") == {}


def test_deletes_are_logged_once(lab: Lab) -> None:
    # SPEC: X1, T6
    lab.write(conformed(USERS, {"_id": [1, 2], "name": ["one", "two"]}, changes=CREATE))
    assert lab.receipt(conformed(USERS, deletes=[2, 3])).rows_deleted == 1
    assert lab.receipt(conformed(USERS, deletes=[2, 3])).rows_deleted == 0
    logged = lab.metadata("table_name, primary_key, position, strategy, cause from @deletion_log")
    assert logged == [("users", '{"_id": 2}', {"at": 2}, "hard", "source")]
    assert lab.rows(USERS) == [("1", "one")]
    assert lab.metadata("count(*) from @tombstones") == [(0,)]


def test_compound_keys(lab: Lab) -> None:
    rows = {"a": [1, 1, 2], "b": ["x", "ÿ, ]", "x"], "v": ["p", "q", "r"]}
    lab.write(conformed(PAIRS, rows, changes=CREATE))
    lab.write(conformed(PAIRS, {"a": [1], "b": ["x"], "v": ["changed"]}))
    reading = Reading.open(lab, PAIRS)
    reading.begin()
    reading.chunk(conformed(PAIRS, {"a": [1], "b": ["x"], "v": ["again"]}))
    assert reading.finish() == 2
    assert lab.rows(PAIRS) == [("1", "x", "again")]
    logged = lab.metadata("primary_key::jsonb from @deletion_log order by 1")
    assert [row[0] for row in logged] == [{"a": 1, "b": "ÿ, ]"}, {"a": 2, "b": "x"}]


def test_deletes_before_the_table_exists(lab: Lab) -> None:
    schema = replace(USERS, version=0)
    Reading.open(lab, schema)
    assert lab.receipt(conformed(schema, deletes=[1])).rows_deleted == 0
    assert lab.metadata("key_text, sequence from @tombstones") == [("1", 1)]


def test_a_later_write_or_delete_supersedes_letters(lab: Lab) -> None:
    # SPEC: T5, FAULTS: 23
    table = USERS.table
    letters = tuple(letter(table, str(key)) for key in (1, 2, 3, 4))
    receipt = lab.receipt(conformed(USERS, ONE, changes=CREATE, letters=letters))
    assert receipt.rows_rejected == 4
    shown = "key_text, status from @dead_letters order by dead_letter_id"
    assert lab.metadata(shown) == [(key, "pending") for key in "1234"]
    lab.write(conformed(USERS, TWO, deletes=[3], letters=(letter(table, "2", "name"), letter(table, "4"))))
    assert lab.metadata(shown) == [
        ("1", "pending"),
        ("2", "superseded"),
        ("3", "superseded"),
        # The same loss of the same record is not told again.
        ("4", "pending"),
        ("2", "pending"),
    ]
    assert lab.metadata("sum(rows_rejected) from @sync_runs")[0][0] == 5


def test_errors_of_a_batch_and_of_its_tables_are_logged(lab: Lab) -> None:
    # SPEC: T4
    entry = ErrorEntry(USERS.table, "narrowing", "a value became text", "kept", column="name")
    part = conformed(USERS, ONE, changes=CREATE, errors=(entry,))
    lab.destination.write(ConformedBatch((part,), lab.stream_commit(), RUN, (replace(entry, error_type="whole"),)))
    assert lab.metadata("error_type, column_name, severity, run_id from @error_log order by 1") == [
        ("narrowing", "name", "warning", RUN),
        ("whole", "name", "warning", RUN),
    ]
    lab.destination.record_errors([replace(entry, error_type="later")], RUN)
    assert lab.metadata("count(*) from @error_log") == [(3,)]


def test_a_batch_writer_is_fenced_by_its_table(lab: Lab) -> None:
    first = lab.destination.seize_table(USERS.table, "batch")
    commit = BatchCommit(USERS.table, first.epoch, {"column": "at", "value": "2024"})
    assert lab.commit(conformed(USERS, ONE, changes=CREATE), commit).tables[USERS.table].rows_written == 1
    assert lab.destination.table_states("shop")["users"].position == {"column": "at", "value": "2024"}
    second = lab.destination.seize_table(USERS.table, "batch")
    with pytest.raises(FencedOut):
        lab.commit(conformed(USERS, TWO), commit)
    commit = replace(commit, epoch=second.epoch, position=None)
    lab.commit(conformed(USERS, TWO), commit)
    assert lab.destination.table_states("shop")["users"].position == {"column": "at", "value": "2024"}


def test_a_table_keeps_its_row_whatever_its_mode(lab: Lab) -> None:
    # DESIGN: Order
    lab.batch_commit(conformed(USERS, ONE, changes=CREATE))
    epoch = lab.destination.table_states("shop")["users"].epoch
    lab.write(conformed(USERS, TWO))
    state = lab.destination.table_states("shop")["users"]
    assert (state.mode, state.sequence, state.epoch) == ("stream", 2, epoch)
    with pytest.raises(FencedOut):
        lab.commit(conformed(USERS, ONE), BatchCommit(USERS.table, epoch, None))
    assert lab.destination.seize_table(USERS.table, "batch").sequence == 2
    assert lab.metadata("count(*) from @sync_markers where table_name = 'users'") == [(1,)]


def test_a_lost_row_starts_above_what_the_rows_carry(lab: Lab) -> None:
    for _ in range(3):
        part = conformed(USERS, ONE) if lab.destination.table_schemas("shop") else conformed(USERS, ONE, changes=CREATE)
        lab.write(part)
    lab.connection.execute("delete from cartridge_warp_metadata.sync_markers where table_name = 'users'")
    assert lab.destination.seize_table(USERS.table, "batch").sequence == 3


def test_many_tables_with_one_layout_in_one_commit(lab: Lab) -> None:
    schemas = [replace(USERS, table=TableId("shop", f"t{i}"), stored_table=f"t{i}") for i in range(5)]
    lab.write(*(conformed(schema, {"_id": [i], "name": [str(i)]}, changes=CREATE) for i, schema in enumerate(schemas)))
    for index, schema in enumerate(schemas):
        assert lab.rows(schema) == [(str(index), str(index))]


def test_staging_is_empty_after_large_and_small_commits(lab: Lab) -> None:
    lab.write(conformed(USERS, ONE, changes=CREATE))
    for count in (1, 5_000, 1, 1_000, 1_500, 1):
        lab.write(conformed(USERS, {"_id": range(count), "name": ["x"] * count}))
        tables = lab.destination._session.rows("select relname from pg_class where relname like '_warp_staging_%%'")
        for name in (table.relname for table in tables):
            assert lab.destination._session.rows(f"select count(*) as n from pg_temp.{name}")[0].n == 0
    assert lab.destination.row_count(USERS.table) == 5_000


def test_runs_are_opened_and_finished(lab: Lab) -> None:
    # SPEC: T3
    whole = TableId("shop", "")
    lab.destination.record_run(RUN, whole, "stream", "running", start={"at": 0})
    lab.write(conformed(USERS, ONE, changes=CREATE))
    lab.destination.record_run(RUN, whole, "stream", "failed", error="because", end={"at": 9})
    assert lab.metadata(
        "table_name, status, error, start_position, finished_at is not null from @sync_runs order by 1"
    ) == [("", "failed", "because", {"at": 0}, True), ("users", "failed", "because", None, True)]


def test_a_stream_that_starts_anew(lab: Lab) -> None:
    # SPEC: R4
    reading = Reading.open(lab, USERS)
    lab.destination.admit(lab.stream_commit(), [USERS.table], [])
    lab.destination.mark_loaded(USERS.table)
    state = lab.destination.start_stream("shop", {"at": 99}, [USERS.table])
    assert (state.epoch, state.position) == (lab.stream.epoch + 1, {"at": 99})
    table = lab.destination.table_states("shop")["users"]
    assert (table.covered_from, table.is_loaded) == ({"at": 99}, False)
    assert lab.destination.generations("shop") == []
    with pytest.raises(FencedOut):
        reading.chunk(conformed(USERS, ONE, changes=CREATE))
    assert lab.metadata("error_type from @error_log") == [("generation_abandoned",)]


def test_tables_are_admitted_under_the_fence(lab: Lab) -> None:
    commit = lab.stream_commit()
    sequence = lab.destination.admit(commit, [USERS.table, ORDERS.table], [])
    assert sequence == commit.sequence + 1
    with pytest.raises(FencedOut):
        lab.destination.admit(commit, [], [USERS.table])
    again = StreamCommit("shop", commit.epoch, sequence, commit.position)
    lab.destination.admit(again, [], [USERS.table])
    covered = {name: state.covered_from for name, state in lab.destination.table_states("shop").items()}
    assert covered == {"orders": commit.position, "users": None}
