"""What every destination owes for snapshots beside a stream: chunks, tombstones and stale rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from tests.contract.conformed import batch, creation, first_schema, letter, moved, part
from tests.contract.laboratories import DestinationLab
from warp_resources.connectors.interfaces import Destination
from warp_resources.errors import FencedOut, OperatorError
from warp_resources.model.batches import DeadLetter, WriteReceipt
from warp_resources.model.letters import PENDING, LetterSelection
from warp_resources.model.positions import ChunkCommit, KeyRange, Position, StreamState
from warp_resources.model.tables import TableId

SCHEMA, GENERATION = "shop", "resync-1"
USERS = TableId(SCHEMA, "users")
V1 = first_schema(USERS)
HALVES = [KeyRange(None, "5"), KeyRange("5", None)]


@dataclass
class Scene:
    """A table that a stream covers, with a stored plan of two slices."""

    destination: Destination
    stream: StreamState

    def stream_write(
        self, rows: list[dict[str, Any]], deletes: list[int] | None = None, letters: list[DeadLetter] | None = None
    ) -> WriteReceipt:
        written = part(V1, rows, deletes or [], letters=letters or [])
        receipt = self.destination.write(batch(moved(SCHEMA, self.stream), written))
        self.stream = replace(self.stream, sequence=receipt.stream_sequence or 0)
        return receipt

    def basis(self) -> int:
        return self.destination.chunk_basis(USERS).sequence

    def chunk(
        self,
        slice_name: str,
        rows: list[dict[str, Any]],
        *,
        basis: int | None = None,
        epoch: int | None = None,
        is_done: bool = True,
        resume: str | None = None,
        letters: list[DeadLetter] | None = None,
        high: Position | None = None,
    ) -> WriteReceipt:
        epoch = epoch or self.destination.seize_slice(USERS, GENERATION, slice_name)[0]
        basis = self.basis() if basis is None else basis
        commit = ChunkCommit(USERS, GENERATION, slice_name, epoch, basis, resume, is_done, high)
        return self.destination.write(batch(commit, part(V1, rows, letters=letters or [])))


@pytest.fixture
def scene(lab: DestinationLab) -> Scene:
    destination = lab.open()
    stream = destination.start_stream(SCHEMA, {"at": 1})
    stream = replace(stream, sequence=destination.admit(moved(SCHEMA, stream), [USERS], []))
    receipt = destination.write(batch(moved(SCHEMA, stream), part(V1, changes=creation())))
    destination.save_plan(USERS, HALVES)
    return Scene(destination, replace(stream, sequence=receipt.stream_sequence or 0))


def test_a_slice_keeps_what_was_read_of_it_and_how_long_that_took(scene: Scene) -> None:
    # SPEC: M5, L4
    opened = scene.destination.open_generation(USERS, GENERATION)
    assert opened.opened_at is not None
    epoch, _ = scene.destination.seize_slice(USERS, GENERATION, "slice-00")
    for rows, seconds in ((3, 0.5), (2, 0.25)):
        commit = ChunkCommit(
            USERS, GENERATION, "slice-00", epoch, scene.basis(), str(rows), False, row_count=rows, seconds=seconds
        )
        scene.destination.write(batch(commit, part(V1, [{"id": rows, "name": "x"}])))
    [found] = scene.destination.generations(SCHEMA)
    assert [(one.row_count, one.seconds) for one in found.slices] == [(5, 0.75), (0, 0.0)]
    # Whoever takes the reading up goes on counting.
    _, seized = scene.destination.seize_slice(USERS, GENERATION, "slice-00")
    assert (seized.row_count, scene.destination.open_generation(USERS, GENERATION).opened_at) == (5, opened.opened_at)


def test_the_first_plan_stays(scene: Scene, lab: DestinationLab) -> None:
    other = [KeyRange(None, "7"), KeyRange("7", None)]
    assert lab.open().save_plan(USERS, other) == HALVES
    assert scene.destination.table_plan(USERS) == HALVES
    assert scene.destination.table_plan(TableId(SCHEMA, "unknown")) == []


def test_a_generation_is_taken_up_where_it_was_left(scene: Scene, lab: DestinationLab) -> None:
    opened = scene.destination.open_generation(USERS, GENERATION)
    assert opened.is_whole
    assert [(part.name, part.range) for part in opened.slices] == list(
        zip(["slice-00", "slice-01"], HALVES, strict=True)
    )
    scene.chunk("slice-00", [{"id": 1, "name": "a"}], is_done=False, resume="3")
    taken_up = lab.open().open_generation(USERS, GENERATION)
    assert [(part.resume, part.is_done) for part in taken_up.slices] == [("3", False), (None, False)]
    assert scene.destination.generations(SCHEMA) == [taken_up]
    _, part_state = scene.destination.seize_slice(USERS, GENERATION, "slice-00")
    assert part_state.resume == "3"


# SPEC: T8
def test_a_slice_has_one_writer(scene: Scene, lab: DestinationLab) -> None:
    scene.destination.open_generation(USERS, GENERATION)
    old, _ = scene.destination.seize_slice(USERS, GENERATION, "slice-00")
    new, _ = lab.open().seize_slice(USERS, GENERATION, "slice-00")
    assert new > old
    with pytest.raises(FencedOut):
        scene.chunk("slice-00", [{"id": 1, "name": "late"}], epoch=old)
    assert lab.rows(USERS) == {}
    scene.chunk("slice-00", [{"id": 1, "name": "right"}], epoch=new)
    assert lab.rows(USERS)[1]["name"] == "right"


# SPEC: M5, T7
def test_a_chunk_never_overwrites_what_the_stream_wrote_since(scene: Scene, lab: DestinationLab) -> None:
    scene.stream_write([{"id": 1, "name": "old"}, {"id": 2, "name": "old"}])
    scene.destination.open_generation(USERS, GENERATION)
    basis = scene.basis()
    scene.stream_write([{"id": 1, "name": "newer"}])
    receipt = scene.chunk("slice-00", [{"id": 1, "name": "read"}, {"id": 2, "name": "old"}], basis=basis)

    rows = lab.rows(USERS)
    assert {key: row["name"] for key, row in rows.items()} == {1: "newer", 2: "old"}
    assert rows[2]["_warp_sequence"] == receipt.tables[USERS].sequence, "unchanged rows are stamped anew"


# SPEC: M5, X1
@pytest.mark.parametrize("was_there", [True, False], ids=["row deleted", "row never there"])
def test_a_chunk_never_revives_what_the_stream_deleted_since(
    scene: Scene, lab: DestinationLab, was_there: bool
) -> None:
    if was_there:
        scene.stream_write([{"id": 1, "name": "old"}])
    scene.destination.open_generation(USERS, GENERATION)
    basis = scene.basis()
    scene.stream_write([], [1])
    scene.chunk("slice-00", [{"id": 1, "name": "read"}, {"id": 2, "name": "read"}], basis=basis)
    assert set(lab.rows(USERS)) == {2}


# SPEC: M5
def test_a_chunk_that_begins_after_a_delete_may_bring_the_key_back(scene: Scene, lab: DestinationLab) -> None:
    scene.destination.open_generation(USERS, GENERATION)
    scene.stream_write([], [1])
    scene.chunk("slice-00", [{"id": 1, "name": "born again"}])
    assert set(lab.rows(USERS)) == {1}


# SPEC: M5, X1, T6
def test_what_a_whole_generation_did_not_see_is_removed(scene: Scene, lab: DestinationLab) -> None:
    scene.stream_write([{"id": 1, "name": "kept"}, {"id": 9, "name": "ghost"}])
    scene.destination.open_generation(USERS, GENERATION)
    scene.stream_write([{"id": 2, "name": "streamed meanwhile"}])
    scene.chunk("slice-00", [{"id": 1, "name": "kept"}])
    with pytest.raises(OperatorError):
        scene.destination.close_generation(USERS, GENERATION, "run-1")
    scene.chunk("slice-01", [])
    assert scene.destination.close_generation(USERS, GENERATION, "run-1") == 1

    assert set(lab.rows(USERS)) == {1, 2}
    assert lab.deletion_count(USERS) == 1
    assert scene.destination.table_states(SCHEMA)["users"].is_loaded
    assert scene.destination.generations(SCHEMA) == []


# SPEC: M5, D7
def test_some_slices_alone_remove_nothing(scene: Scene, lab: DestinationLab) -> None:
    scene.stream_write([{"id": 9, "name": "ghost"}])
    opened = scene.destination.open_generation(USERS, GENERATION, ["slice-01"])
    assert not opened.is_whole
    scene.chunk("slice-01", [{"id": 6, "name": "read"}])
    assert scene.destination.close_generation(USERS, GENERATION, "run-1") == 0
    assert set(lab.rows(USERS)) == {6, 9}
    assert not scene.destination.table_states(SCHEMA)["users"].is_loaded


# SPEC: E7, M5
def test_a_key_that_was_read_and_quarantined_counts_as_seen(scene: Scene, lab: DestinationLab) -> None:
    scene.stream_write([{"id": 1, "name": "last good"}, {"id": 2, "name": "ghost"}])
    scene.destination.open_generation(USERS, GENERATION)
    scene.chunk("slice-00", [], letters=[letter(USERS, 1, None)])
    scene.chunk("slice-01", [])
    assert scene.destination.close_generation(USERS, GENERATION, "run-1") == 1
    assert set(lab.rows(USERS)) == {1}


# SPEC: T5 R4
def test_letters_of_keys_that_a_whole_generation_did_not_see_are_superseded(scene: Scene, lab: DestinationLab) -> None:
    letters = [letter(USERS, 1, "name"), letter(USERS, 2, "name"), letter(USERS, 8, None)]
    scene.stream_write([{"id": 1, "name": None}, {"id": 2, "name": None}], letters=letters)
    scene.destination.open_generation(USERS, GENERATION)
    scene.chunk("slice-00", [{"id": 2, "name": None}], letters=[letter(USERS, 2, "name")])
    scene.chunk("slice-01", [], letters=[letter(USERS, 9, None)])
    assert scene.destination.close_generation(USERS, GENERATION, "run-1") == 1
    assert set(lab.rows(USERS)) == {2}
    pending = scene.destination.dead_letters(LetterSelection(SCHEMA, "users", status=PENDING))
    assert sorted(str(kept.letter.key_text) for kept in pending) == ["2", "9"]


def test_an_abandoned_generation_removes_nothing_and_frees_its_name(scene: Scene, lab: DestinationLab) -> None:
    scene.stream_write([{"id": 9, "name": "ghost"}])
    scene.destination.open_generation(USERS, GENERATION)
    epoch, _ = scene.destination.seize_slice(USERS, GENERATION, "slice-00")
    scene.destination.abandon_generation(USERS, GENERATION, "the table is gone")
    assert scene.destination.generations(SCHEMA) == []
    assert set(lab.rows(USERS)) == {9}
    assert len(lab.error_types(USERS)) == 1
    with pytest.raises(FencedOut):
        scene.chunk("slice-00", [{"id": 1, "name": "late"}], epoch=epoch)
    again = scene.destination.open_generation(USERS, GENERATION)
    assert not any(part_state.is_done for part_state in again.slices)


# SPEC: R4
def test_lost_history_closes_what_was_being_read(scene: Scene) -> None:
    scene.destination.open_generation(USERS, GENERATION)
    epoch, _ = scene.destination.seize_slice(USERS, GENERATION, "slice-00")
    scene.destination.start_stream(SCHEMA, {"at": 50}, [USERS])
    assert scene.destination.generations(SCHEMA) == []
    with pytest.raises(FencedOut):
        scene.chunk("slice-00", [{"id": 1, "name": "late"}], epoch=epoch)


def test_the_basis_of_a_chunk_is_what_is_committed(scene: Scene) -> None:
    before = scene.destination.chunk_basis(USERS)
    assert before.stream_position == {"at": 1}
    receipt = scene.stream_write([{"id": 1, "name": "a"}])
    assert scene.destination.chunk_basis(USERS).sequence == receipt.tables[USERS].sequence > before.sequence


def test_a_batch_table_takes_its_marker_from_its_first_load(lab: DestinationLab) -> None:
    destination = lab.open()
    destination.seize_table(USERS, "batch")
    destination.save_plan(USERS, HALVES)
    destination.open_generation(USERS, GENERATION)
    for name, rows, high in (("slice-00", [{"id": 1, "name": "a"}], "2024-01-02"), ("slice-01", [], "2024-01-01")):
        epoch, _ = destination.seize_slice(USERS, GENERATION, name)
        known = destination.table_schemas(SCHEMA)
        commit = ChunkCommit(USERS, GENERATION, name, epoch, 0, None, True, {"value": high})
        destination.write(batch(commit, part(V1, rows, changes=() if known else creation())))
    destination.close_generation(USERS, GENERATION, "run-1")
    state = destination.table_states(SCHEMA)["users"]
    assert (state.position, state.is_loaded) == ({"value": "2024-01-02"}, True)


# SPEC: D7
def test_finished_slices_outlive_their_generation(scene: Scene) -> None:
    def told() -> list[tuple[str, str]]:
        return [(one.generation, one.name) for one in scene.destination.finished_slices(SCHEMA, timedelta(hours=1))]

    scene.destination.open_generation(USERS, GENERATION)
    scene.chunk("slice-00", [{"id": 1, "name": "a"}], is_done=False, resume="3")
    assert told() == []
    scene.chunk("slice-01", [{"id": 7, "name": "b"}])
    assert told() == [(GENERATION, "slice-01")]
    scene.chunk("slice-00", [{"id": 4, "name": "a"}])
    scene.destination.close_generation(USERS, GENERATION, "run-1")
    assert told() == [(GENERATION, "slice-01"), (GENERATION, "slice-00")]
    assert scene.destination.finished_slices("other", timedelta(hours=1)) == []
    assert scene.destination.finished_slices(SCHEMA, timedelta(0)) == []


# SPEC: M5
def test_the_plan_stays_while_it_is_read(scene: Scene) -> None:
    destination = scene.destination
    three = [KeyRange(None, "1"), KeyRange("1", "2"), KeyRange("2")]
    assert destination.save_plan(USERS, [KeyRange(None, "7"), KeyRange("7", None)]) == HALVES
    destination.open_generation(USERS, GENERATION, ["slice-00"])
    assert destination.save_plan(USERS, three) == HALVES
    whole = destination.open_generation(USERS, GENERATION, ["slice-01"])
    assert [part.range for part in whole.slices] == HALVES
    destination.abandon_generation(USERS, GENERATION, "test")
    assert destination.save_plan(USERS, three) == three == destination.table_plan(USERS)
