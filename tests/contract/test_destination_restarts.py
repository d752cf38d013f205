"""What every destination owes where reading has to begin anew: lost history, another mode, an idle reading."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.contract.conformed import batch, creation, first_schema, moved, part
from tests.contract.laboratories import DestinationLab
from warp_resources.connectors.interfaces import Destination
from warp_resources.errors import FencedOut
from warp_resources.model.batches import ErrorEntry
from warp_resources.model.positions import BatchCommit, ChunkCommit, KeyRange, Position, StreamState, slice_lease
from warp_resources.model.tables import TableId

SCHEMA = "shop"
USERS, ORDERS = TableId(SCHEMA, "users"), TableId(SCHEMA, "orders")
V1 = first_schema(USERS)
HALVES = [KeyRange(None, "5"), KeyRange("5", None)]
NOON: Position = {"column": "at", "value": "2024-05-01T12:00:00.000000+00:00"}
LATER: Position = {"column": "at", "value": "2024-05-01T13:00:00.000000+00:00"}
AT_ONCE, AN_HOUR = timedelta(0), timedelta(hours=1)


@pytest.fixture
def destination(lab: DestinationLab) -> Destination:
    return lab.open()


def streaming(destination: Destination, *tables: TableId) -> StreamState:
    """A stream that covers the tables."""
    state = destination.start_stream(SCHEMA, {"at": 1})
    return replace(state, sequence=destination.admit(moved(SCHEMA, state), tables, []))


def begin(destination: Destination, generation: str, *, resume: str | None = "3") -> ChunkCommit:
    """Open a generation of users and commit its first chunk."""
    destination.save_plan(USERS, HALVES)
    destination.open_generation(USERS, generation)
    epoch, _ = destination.seize_slice(USERS, generation, "slice-00")
    commit = ChunkCommit(USERS, generation, "slice-00", epoch, 0, resume, False)
    destination.write(batch(commit, part(V1, [{"id": 1, "name": "a"}], changes=creation())))
    return commit


# SPEC: R4
def test_lost_tables_are_being_read_as_soon_as_the_stream_starts_anew(
    destination: Destination, lab: DestinationLab
) -> None:
    streaming(destination, USERS, ORDERS)
    destination.save_plan(USERS, HALVES)
    destination.mark_loaded(USERS)
    destination.open_generation(USERS, "resync-1")
    lost = ErrorEntry(USERS, "history_lost", "gone", "read again")
    destination.start_stream(SCHEMA, {"at": 50}, [USERS, ORDERS], generation="history-1", errors=[lost], run_id="run-1")

    opened = {state.table: state for state in lab.open().generations(SCHEMA)}
    assert {table: state.generation for table, state in opened.items()} == {USERS: "history-1", ORDERS: "history-1"}
    assert all(state.is_whole for state in opened.values())
    assert [slice_.range for slice_ in opened[USERS].slices] == HALVES
    assert [slice_.range for slice_ in opened[ORDERS].slices] == [KeyRange()] == destination.table_plan(ORDERS)
    states = destination.table_states(SCHEMA)
    assert {(state.is_loaded, str(state.covered_from)) for state in states.values()} == {(False, "{'at': 50}")}
    assert lab.error_types(USERS) == ["generation_abandoned", "history_lost"]


# SPEC: M2, T7
def test_a_table_that_leaves_its_stream_is_read_again(destination: Destination, lab: DestinationLab) -> None:
    streaming(destination, USERS)
    commit = begin(destination, "load-1")
    destination.mark_loaded(USERS)
    state = destination.seize_table(USERS, "batch")
    assert (state.mode, state.is_loaded, state.covered_from, state.position) == ("batch", False, None, None)
    assert destination.generations(SCHEMA) == []
    assert lab.error_types(USERS) == ["generation_abandoned"]
    with pytest.raises(FencedOut):
        destination.write(batch(commit, part(V1, [{"id": 2, "name": "late"}])))


# SPEC: M2, T7
def test_a_table_that_joins_a_stream_is_read_again(destination: Destination, lab: DestinationLab) -> None:
    state = destination.seize_table(USERS, "batch")
    destination.write(batch(BatchCommit(USERS, state.epoch, NOON)))
    destination.mark_loaded(USERS)
    destination.save_plan(USERS, HALVES)
    # Nothing of it is read yet, but its marker would leave out what the stream has not seen.
    destination.open_generation(USERS, "load-1", ceiling=NOON)
    streaming(destination, USERS)
    table = destination.table_states(SCHEMA)["users"]
    assert (table.mode, table.is_loaded, table.covered_from, table.position) == ("stream", False, {"at": 1}, None)
    assert destination.generations(SCHEMA) == []
    back = destination.seize_table(USERS, "batch")
    assert (back.is_loaded, back.position) == (False, None)


def test_a_batch_table_that_stays_one_keeps_what_it_has(destination: Destination) -> None:
    state = destination.seize_table(USERS, "batch")
    destination.write(batch(BatchCommit(USERS, state.epoch, NOON)))
    destination.mark_loaded(USERS)
    begin(destination, "resync-1")
    again = destination.seize_table(USERS, "batch")
    assert (again.is_loaded, again.position, again.epoch) == (True, NOON, state.epoch + 1)
    assert [found.generation for found in destination.generations(SCHEMA)] == ["resync-1"]


def test_the_ceiling_is_that_of_the_first_opening(destination: Destination, lab: DestinationLab) -> None:
    destination.save_plan(USERS, HALVES)
    opened = destination.open_generation(USERS, "load-1", ["slice-00"], ceiling=NOON)
    assert opened.ceiling == NOON
    assert destination.open_generation(USERS, "load-1", ["slice-01"], ceiling=LATER).ceiling == NOON
    assert [state.ceiling for state in lab.open().generations(SCHEMA)] == [NOON]
    assert destination.open_generation(USERS, "load-2").ceiling is None


# SPEC: M5
def test_only_idle_generations_are_abandoned(destination: Destination, lab: DestinationLab) -> None:
    begin(destination, "resync-1")
    held = {slice_lease(USERS, "slice-01")}
    assert destination.abandon_idle_generations(SCHEMA, AN_HOUR, set().__contains__) == 0
    assert destination.abandon_idle_generations("other", AT_ONCE, set().__contains__) == 0
    assert destination.abandon_idle_generations(SCHEMA, AT_ONCE, held.__contains__) == 0
    assert destination.abandon_idle_generations(SCHEMA, AT_ONCE, set().__contains__) == 1
    assert destination.generations(SCHEMA) == []
    assert lab.error_types(USERS) == ["generation_abandoned"]
    assert set(lab.rows(USERS)) == {1}
