"""What every destination owes for tables that their stream goes on without."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.contract.conformed import batch, creation, first_schema, moved, part
from tests.contract.laboratories import DestinationLab
from warp_resources.connectors.interfaces import Destination
from warp_resources.errors import FencedOut
from warp_resources.model.positions import Aside, StreamCommit
from warp_resources.model.tables import TableId

USERS, ORDERS = TableId("shop", "users"), TableId("shop", "orders")


def begin(lab: DestinationLab) -> tuple[Destination, StreamCommit]:
    destination = lab.open()
    fence = moved("shop", destination.start_stream("shop", {"at": 1}), {"at": 1})
    return destination, replace(fence, sequence=destination.admit(fence, [USERS, ORDERS], []))


# SPEC: M3 T1 T7
def test_a_table_is_set_aside_moved_and_taken_back_with_the_stream(lab: DestinationLab) -> None:
    destination, fence = begin(lab)
    schema = first_schema(ORDERS)
    commit = replace(fence, position={"at": 5}, aside=(Aside(USERS, {"at": 1}, "it broke"),))
    receipt = destination.write(batch(commit, part(schema, [{"id": 1}], changes=creation())))
    assert receipt.stream_sequence is not None
    state = destination.table_states("shop")["users"]
    assert (state.aside_position, state.aside_reason) == ({"at": 1}, "it broke")
    assert state.aside_since is not None
    assert state.covered_from == {"at": 1}
    assert destination.table_states("shop")["orders"].aside_position is None
    further = replace(fence, position={"at": 5}, sequence=receipt.stream_sequence)
    note = replace(further, aside=(Aside(USERS, {"at": 3}, "it broke otherwise"),))
    sequence = destination.write(batch(note)).stream_sequence
    assert sequence is not None
    later = destination.table_states("shop")["users"]
    assert (later.aside_position, later.aside_reason) == ({"at": 3}, "it broke otherwise")
    assert later.aside_since == state.aside_since
    stream = destination.stream_state("shop")
    assert stream is not None
    assert stream.position == {"at": 5}
    destination.write(batch(replace(further, sequence=sequence, rejoined=(USERS,))))
    back = destination.table_states("shop")["users"]
    assert (back.aside_position, back.aside_reason, back.aside_since) == (None, None, None)


# SPEC: T8
def test_a_writer_that_was_overtaken_sets_nothing_aside(lab: DestinationLab) -> None:
    destination, fence = begin(lab)
    destination.seize_stream("shop")
    with pytest.raises(FencedOut):
        destination.write(batch(replace(fence, aside=(Aside(USERS, {"at": 1}, "it broke"),))))
    assert destination.table_states("shop")["users"].aside_position is None


# SPEC: M5 R4
@pytest.mark.parametrize("way", ["admitted", "dismissed", "lost", "batch"])
def test_a_table_that_starts_anew_is_not_aside(lab: DestinationLab, way: str) -> None:
    destination, fence = begin(lab)
    commit = replace(fence, aside=(Aside(USERS, {"at": 1}, "it broke"),))
    sequence = destination.write(batch(commit)).stream_sequence
    assert sequence is not None
    fence = replace(fence, sequence=sequence)
    if way == "admitted":
        destination.admit(fence, [USERS], [])
    elif way == "dismissed":
        destination.admit(fence, [], [USERS])
    elif way == "lost":
        destination.start_stream("shop", {"at": 9}, [USERS], generation="history-1")
    else:
        destination.seize_table(USERS, "batch")
    state = destination.table_states("shop")["users"]
    assert (state.aside_position, state.aside_reason, state.aside_since) == (None, None, None)
