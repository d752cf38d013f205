"""What every destination owes where a writer comes late: one that was frozen, a reading from before, an old repair."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.contract.conformed import batch, creation, first_schema, moved, part
from tests.contract.laboratories import DestinationLab
from warp_resources.connectors.interfaces import Destination
from warp_resources.errors import FencedOut
from warp_resources.model.positions import Aside, ChunkCommit, KeyRange, StreamCommit, StreamState
from warp_resources.model.tables import TableId

SCHEMA = "shop"
USERS = TableId(SCHEMA, "users")
V1 = first_schema(USERS)
HALVES = [KeyRange(None, "5"), KeyRange("5", None)]


@pytest.fixture
def destination(lab: DestinationLab) -> Destination:
    return lab.open()


def streaming(destination: Destination) -> StreamState:
    """A stream that covers users, whose table is made."""
    state = destination.start_stream(SCHEMA, {"at": 1})
    state = replace(state, sequence=destination.admit(moved(SCHEMA, state), [USERS], []))
    receipt = destination.write(batch(moved(SCHEMA, state), part(V1, [{"id": 1, "name": "a"}], changes=creation())))
    return replace(state, sequence=receipt.stream_sequence or 0)


# SPEC: T8  FAULTS: 3
def test_a_stream_that_has_started_meanwhile_is_not_started_again(destination: Destination) -> None:
    nobody = StreamCommit(SCHEMA, 0, 0, {"at": 1})
    started = destination.start_stream(SCHEMA, {"at": 1}, fence=nobody)
    with pytest.raises(FencedOut):
        destination.start_stream(SCHEMA, {"at": 9}, fence=replace(nobody, position={"at": 9}))
    assert destination.stream_state(SCHEMA) == started


# SPEC: T8 R4  FAULTS: 3, 6
@pytest.mark.parametrize("way", ["seized", "moved"])
def test_a_writer_that_was_overtaken_puts_no_stream_at_a_new_start(destination: Destination, way: str) -> None:
    state = streaming(destination)
    destination.mark_loaded(USERS)
    if way == "seized":
        destination.seize_stream(SCHEMA)
    else:
        destination.write(batch(moved(SCHEMA, state, {"at": 5})))
    before = destination.stream_state(SCHEMA)
    with pytest.raises(FencedOut):
        destination.start_stream(SCHEMA, {"at": 9}, [USERS], generation="history-1", fence=moved(SCHEMA, state))
    assert destination.stream_state(SCHEMA) == before
    assert destination.generations(SCHEMA) == []
    assert destination.table_states(SCHEMA)["users"].is_loaded
    assert before is not None
    again = destination.start_stream(SCHEMA, {"at": 9}, [USERS], generation="h-2", fence=moved(SCHEMA, before))
    assert (again.position, again.epoch) == ({"at": 9}, before.epoch + 1)


# SPEC: M3 R4 T7  FAULTS: 6
def test_a_table_is_covered_anew_and_its_reading_opened_at_once(destination: Destination) -> None:
    state = streaming(destination)
    destination.save_plan(USERS, HALVES)
    destination.open_generation(USERS, "history-1")
    # Nothing of it is written, but a chunk is under way.
    epoch, _ = destination.seize_slice(USERS, "history-1", "slice-00")
    basis = destination.chunk_basis(USERS).sequence
    destination.admit(moved(SCHEMA, state), [USERS], [], generation="history-1")
    [reading] = destination.generations(SCHEMA)
    assert (reading.generation, reading.is_whole, reading.is_read) == ("history-1", True, False)
    assert [one.resume for one in reading.slices] == [None, None]
    late = ChunkCommit(USERS, "history-1", "slice-00", epoch, basis, None, True)
    with pytest.raises(FencedOut):
        destination.write(batch(late, part(V1, [{"id": 1, "name": "old"}])))
    assert not destination.table_states(SCHEMA)["users"].is_loaded


# SPEC: R5 M5
def test_what_a_repair_did_not_find_does_not_hold_back_a_chunk_that_found_it(
    destination: Destination, lab: DestinationLab
) -> None:
    state = streaming(destination)
    destination.save_plan(USERS, HALVES)
    destination.open_generation(USERS, "verify-1", ("slice-01",), removes_stale=False)
    mending, _ = destination.seize_slice(USERS, "verify-1", "slice-01")
    looked = destination.chunk_basis(USERS).sequence
    # The key came back after the repair looked for it, and a resync finds it.
    receipt = destination.write(batch(moved(SCHEMA, state), part(V1, [{"id": 1, "name": "b"}])))
    assert receipt.stream_sequence is not None
    destination.open_generation(USERS, "resync-1")
    reading, _ = destination.seize_slice(USERS, "resync-1", "slice-00")
    basis = destination.chunk_basis(USERS).sequence
    repair = ChunkCommit(USERS, "verify-1", "slice-01", mending, looked, None, False)
    destination.write(batch(repair, part(V1, [], [1])))
    chunk = ChunkCommit(USERS, "resync-1", "slice-00", reading, basis, None, True)
    destination.write(batch(chunk, part(V1, [{"id": 1, "name": "b"}])))
    other, _ = destination.seize_slice(USERS, "resync-1", "slice-01")
    rest = ChunkCommit(USERS, "resync-1", "slice-01", other, destination.chunk_basis(USERS).sequence, None, True)
    destination.write(batch(rest))
    assert destination.close_generation(USERS, "resync-1", "run-1") == 0
    assert destination.row_count(USERS) == 1


# SPEC: M3 M5
def test_a_basis_tells_where_a_table_is_that_is_set_aside(destination: Destination) -> None:
    state = streaming(destination)
    assert destination.chunk_basis(USERS).aside_position is None
    ahead = replace(moved(SCHEMA, state, {"at": 3}), aside=(Aside(USERS, {"at": 7}, "it broke"),))
    destination.write(batch(ahead))
    basis = destination.chunk_basis(USERS)
    assert (basis.stream_position, basis.aside_position) == ({"at": 3}, {"at": 7})
