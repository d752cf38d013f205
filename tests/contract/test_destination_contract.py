"""What every destination owes for the commits of a stream: fence, repeatability, all or nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.contract.conformed import NAME, TEXT, batch, changed, creation, first_schema, letter, moved, part
from tests.contract.laboratories import DestinationLab
from warp_resources.connectors.interfaces import Destination
from warp_resources.errors import FencedOut, SchemaMoved
from warp_resources.model.batches import ErrorEntry
from warp_resources.model.positions import BatchCommit, StreamState
from warp_resources.model.tables import ChangeKind, Column, SchemaChange, TableId

SCHEMA = "shop"
USERS, ORDERS = TableId(SCHEMA, "users"), TableId(SCHEMA, "orders")
START: dict[str, object] = {"at": 1}
V1 = first_schema(USERS)


def started(destination: Destination, *tables: TableId) -> StreamState:
    """A stream that covers the tables (default: users), which are made and empty."""
    state = destination.start_stream(SCHEMA, START)
    covered = list(tables or (USERS,))
    state = replace(state, sequence=destination.admit(moved(SCHEMA, state), covered, []))
    made = [part(first_schema(table), changes=creation()) for table in covered]
    receipt = destination.write(batch(moved(SCHEMA, state), *made))
    return replace(state, sequence=receipt.stream_sequence or 0)


def test_a_fresh_destination_knows_nothing(lab: DestinationLab) -> None:
    destination = lab.open()
    assert destination.table_schemas(SCHEMA) == {}
    assert destination.stream_state(SCHEMA) is None
    assert destination.table_states(SCHEMA) == {}
    assert destination.row_count(USERS) == 0


def test_reading_needs_no_preparation(lab: DestinationLab) -> None:
    destination = lab.make()
    try:
        destination.check()
        assert destination.table_schemas(SCHEMA) == {}
        assert destination.stream_state(SCHEMA) is None
    finally:
        destination.close()


def test_preparing_twice_changes_nothing(lab: DestinationLab) -> None:
    destination = lab.open()
    state = started(destination)
    destination.prepare()
    assert destination.stream_state(SCHEMA) == replace(
        destination.stream_state(SCHEMA) or state, epoch=state.epoch, sequence=state.sequence
    )


# SPEC: T1, T7
def test_a_commit_makes_the_table_and_moves_the_marker(lab: DestinationLab) -> None:
    destination = lab.open()
    state = destination.start_stream(SCHEMA, START)
    rows = [{"id": 1, "name": "Ann"}, {"id": 2, "name": None}]
    receipt = destination.write(batch(moved(SCHEMA, state, {"at": 2}), part(V1, rows, changes=creation())))

    stored = lab.rows(USERS)
    assert {key: row["name"] for key, row in stored.items()} == {1: "Ann", 2: None}
    assert {row["_warp_sequence"] for row in stored.values()} == {receipt.tables[USERS].sequence}
    assert receipt.tables[USERS].rows_written == 2
    now = destination.stream_state(SCHEMA)
    assert now is not None
    assert (now.position, now.sequence, now.epoch) == ({"at": 2}, receipt.stream_sequence, state.epoch)
    assert now.sequence > state.sequence


# SPEC: T2
def test_the_registry_gives_back_the_schema(lab: DestinationLab) -> None:
    destination = lab.open()
    started(destination)
    assert destination.table_schemas(SCHEMA) == {"users": V1}
    assert lab.open().table_schemas(SCHEMA) == {"users": V1}
    assert destination.table_states(SCHEMA)["users"].schema_version == 1


# SPEC: E5, X1, T6
def test_rows_are_upserted_and_deleted_by_key(lab: DestinationLab) -> None:
    destination = lab.open()
    state = started(destination)
    rows = [{"id": 1, "name": "Ann"}, {"id": 2, "name": "Bob"}, {"id": 3, "name": "Eve"}]
    receipt = destination.write(batch(moved(SCHEMA, state), part(V1, rows)))
    state = replace(state, sequence=receipt.stream_sequence or 0)
    receipt = destination.write(batch(moved(SCHEMA, state), part(V1, [{"id": 1}, {"id": 4, "name": "Kim"}], [2, 9])))

    assert {key: row["name"] for key, row in lab.rows(USERS).items()} == {1: None, 3: "Eve", 4: "Kim"}
    assert receipt.tables[USERS].rows_deleted == 1
    assert lab.deletion_count(USERS) == 1
    assert destination.row_count(USERS) == 3


# SPEC: T8
def test_the_same_batch_twice_is_refused_the_second_time(lab: DestinationLab) -> None:
    destination = lab.open()
    commit = moved(SCHEMA, started(destination), {"at": 2})
    destination.write(batch(commit, part(V1, [{"id": 1, "name": "Ann"}])))
    before = destination.stream_state(SCHEMA)
    with pytest.raises(FencedOut):
        destination.write(batch(commit, part(V1, [{"id": 1, "name": "changed"}])))
    assert lab.rows(USERS)[1]["name"] == "Ann"
    assert destination.stream_state(SCHEMA) == before


# SPEC: T8
def test_a_writer_that_was_taken_over_commits_nothing(lab: DestinationLab) -> None:
    old, new = lab.open(), lab.open()
    state = started(old)
    taken = new.seize_stream(SCHEMA)
    assert taken.epoch > state.epoch
    assert taken.sequence == state.sequence
    with pytest.raises(FencedOut):
        old.write(batch(moved(SCHEMA, state), part(V1, [{"id": 1, "name": "late"}])))
    assert lab.rows(USERS) == {}
    new.write(batch(moved(SCHEMA, taken), part(V1, [{"id": 1, "name": "right"}])))
    assert lab.rows(USERS)[1]["name"] == "right"


# SPEC: T7
def test_a_commit_is_all_or_nothing(lab: DestinationLab) -> None:
    destination = lab.open()
    state = started(destination, USERS, ORDERS)
    wrong = replace(part(V1, [{"id": 1, "name": "x"}]), based_on=7)
    right = part(first_schema(ORDERS), [{"id": 1, "name": "x"}])
    with pytest.raises(SchemaMoved):
        destination.write(batch(moved(SCHEMA, state, {"at": 2}), right, wrong))
    assert lab.rows(ORDERS) == {}
    now = destination.stream_state(SCHEMA)
    assert now is not None
    assert (now.position, now.sequence) == (START, state.sequence)
    receipt = destination.write(batch(moved(SCHEMA, state), right))
    assert receipt.tables[ORDERS].rows_written == 1


# SPEC: T7
def test_a_schema_change_and_its_row_are_one_unit(lab: DestinationLab) -> None:
    destination = lab.open()
    state = started(destination)
    addition = SchemaChange(ChangeKind.ADD_COLUMN, after=Column("note", "note", TEXT))
    v2 = changed(V1, addition)
    stale = batch(moved(SCHEMA, replace(state, sequence=99)), part(v2, [{"id": 1, "note": "n"}], changes=(addition,)))
    with pytest.raises(FencedOut):
        destination.write(stale)
    assert destination.table_schemas(SCHEMA) == {"users": V1}
    destination.write(batch(moved(SCHEMA, state), part(v2, [{"id": 1, "note": "n"}], changes=(addition,))))
    assert destination.table_schemas(SCHEMA) == {"users": v2}
    assert lab.rows(USERS)[1]["note"] == "n"


def test_a_batch_based_on_an_old_version_is_sent_back(lab: DestinationLab) -> None:
    destination = lab.open()
    state = started(destination)
    addition = SchemaChange(ChangeKind.ADD_COLUMN, after=Column("note", "note", TEXT))
    receipt = destination.write(batch(moved(SCHEMA, state), part(changed(V1, addition), changes=(addition,))))
    state = replace(state, sequence=receipt.stream_sequence or 0)
    with pytest.raises(SchemaMoved):
        destination.write(batch(moved(SCHEMA, state), part(V1, [{"id": 1, "name": "Ann"}])))
    assert lab.rows(USERS) == {}


# SPEC: R4, T8
def test_a_new_start_uncovers_what_was_lost(lab: DestinationLab) -> None:
    destination = lab.open()
    state = started(destination)
    destination.mark_loaded(USERS)
    again = destination.start_stream(SCHEMA, {"at": 50}, [USERS])
    assert again.epoch > state.epoch
    assert again.sequence > state.sequence
    assert again.position == {"at": 50}
    users = destination.table_states(SCHEMA)["users"]
    assert (users.covered_from, users.is_loaded) == ({"at": 50}, False)
    with pytest.raises(FencedOut):
        destination.write(batch(moved(SCHEMA, state)))


def test_tables_are_admitted_and_dismissed_under_the_fence(lab: DestinationLab) -> None:
    destination = lab.open()
    state = destination.start_stream(SCHEMA, START)
    sequence = destination.admit(moved(SCHEMA, state), [USERS, ORDERS], [])
    assert {name: table.covered_from for name, table in destination.table_states(SCHEMA).items()} == {
        "users": START,
        "orders": START,
    }
    with pytest.raises(FencedOut):
        destination.admit(moved(SCHEMA, state), [], [ORDERS])
    destination.admit(moved(SCHEMA, replace(state, sequence=sequence)), [], [ORDERS])
    states = destination.table_states(SCHEMA)
    assert (states["users"].covered_from, states["orders"].covered_from) == (START, None)


def test_a_table_that_needs_no_first_load_is_loaded(lab: DestinationLab) -> None:
    destination = lab.open()
    started(destination)
    assert not destination.table_states(SCHEMA)["users"].is_loaded
    destination.mark_loaded(USERS)
    assert destination.table_states(SCHEMA)["users"].is_loaded


# SPEC: T5
def test_a_later_write_or_delete_supersedes_a_dead_letter(lab: DestinationLab) -> None:
    destination = lab.open()
    state = started(destination)
    letters = [letter(USERS, key, "name") for key in (1, 2, 3)]
    rows = [{"id": key} for key in (1, 2, 3)]
    receipt = destination.write(batch(moved(SCHEMA, state), part(V1, rows, letters=letters)))
    assert lab.letter_statuses(USERS) == ["pending"] * 3
    state = replace(state, sequence=receipt.stream_sequence or 0)
    destination.write(batch(moved(SCHEMA, state), part(V1, [{"id": 1, "name": "fits"}], [2])))
    assert lab.letter_statuses(USERS) == ["pending", "superseded", "superseded"]


# SPEC: T7, T8
def test_a_batch_table_has_one_writer_and_keeps_equal_rows(lab: DestinationLab) -> None:
    destination = lab.open()
    state = destination.seize_table(USERS, "batch")
    assert (state.mode, state.position, state.is_loaded) == ("batch", None, False)
    rows = [{"id": 1, "name": "Ann"}, {"id": 2, "name": "Bob"}]
    first = destination.write(batch(BatchCommit(USERS, state.epoch, {"v": 1}), part(V1, rows, changes=creation())))
    rows[1]["name"] = "Rob"
    second = destination.write(batch(BatchCommit(USERS, state.epoch, None), part(V1, rows)))
    sequences = {key: row["_warp_sequence"] for key, row in lab.rows(USERS).items()}
    assert sequences == {1: first.tables[USERS].sequence, 2: second.tables[USERS].sequence}
    assert second.tables[USERS].sequence > first.tables[USERS].sequence
    assert destination.table_states(SCHEMA)["users"].position == {"v": 1}

    lab.open().seize_table(USERS, "batch")
    with pytest.raises(FencedOut):
        destination.write(batch(BatchCommit(USERS, state.epoch, {"v": 2}), part(V1, [{"id": 3, "name": "late"}])))
    assert set(lab.rows(USERS)) == {1, 2}
    assert destination.table_states(SCHEMA)["users"].position == {"v": 1}


# SPEC: T3, T4
def test_runs_and_errors_are_recorded(lab: DestinationLab) -> None:
    destination = lab.open()
    state = started(destination)
    destination.record_run("run-9", USERS, "stream", "running", start=START)
    commit = moved(SCHEMA, state)
    destination.write(batch(commit, part(V1, [{"id": 1, "name": "Ann"}, {"id": 2, "name": "Bob"}]), run_id="run-9"))
    assert lab.run("run-9")["rows_written"] == 2
    destination.record_run("run-9", USERS, "stream", "failed", error="it broke", end={"at": 2})
    assert (lab.run("run-9")["status"], lab.run("run-9")["error"]) == ("failed", "it broke")
    destination.record_errors([ErrorEntry(USERS, "connection", "The server went away", "retried")], "run-9")
    assert lab.error_types(USERS) == ["connection"]


def test_schemas_do_not_see_each_other(lab: DestinationLab) -> None:
    destination = lab.open()
    started(destination)
    assert destination.stream_state("other") is None
    assert destination.table_schemas("other") == {}
    assert destination.table_states("other") == {}
    assert NAME in destination.table_schemas(SCHEMA)["users"].columns
