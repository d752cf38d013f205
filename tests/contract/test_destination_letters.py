"""What every destination owes for dead letters: each loss is told once, however often its row is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.contract.conformed import batch, creation, first_schema, letter, moved, part
from tests.contract.laboratories import DestinationLab
from warp_resources.connectors.interfaces import Destination
from warp_resources.model.batches import ConformedTable, DeadLetter, ErrorEntry, TableReceipt
from warp_resources.model.positions import BatchCommit, ChunkCommit, KeyRange
from warp_resources.model.tables import TableId

SCHEMA = "shop"
USERS = TableId(SCHEMA, "users")
V1 = first_schema(USERS)
POISON = letter(USERS, 1, "name")
WHOLE = letter(USERS, 2, None)
UNREADABLE = replace(WHOLE, key_text=None, primary_key="{}")

Write = Callable[[ConformedTable], TableReceipt]


def losing(
    *letters: DeadLetter, warnings: tuple[ErrorEntry, ...] = (), deletes: tuple[int, ...] = ()
) -> ConformedTable:
    """A batch that writes the row 1 and loses something, with an error entry for each letter."""
    entries = tuple(
        ErrorEntry(USERS, its.reason, "lost", "set aside", its.column, "warning", its.primary_key) for its in letters
    )
    rows = [] if 1 in deletes else [{"id": 1, "name": None}]
    return replace(part(V1, rows, deletes, letters=letters), errors=(*entries, *warnings))


def writer(destination: Destination, mode: str) -> Write:
    """Commits one part after another in the way of a mode, with the table made."""
    state = destination.start_stream(SCHEMA, {"at": 1})
    stream = moved(SCHEMA, replace(state, sequence=destination.admit(moved(SCHEMA, state), [USERS], [])))
    made = destination.write(batch(stream, part(V1, changes=creation())))
    assert made.stream_sequence is not None
    stream = replace(stream, sequence=made.stream_sequence)
    if mode == "batch":
        epoch = destination.seize_table(USERS, "batch").epoch
        return lambda table: destination.write(batch(BatchCommit(USERS, epoch, None), table)).tables[USERS]
    if mode == "chunk":
        destination.save_plan(USERS, [KeyRange()])
        destination.open_generation(USERS, "load-1")

        def chunk(table: ConformedTable) -> TableReceipt:
            epoch, _ = destination.seize_slice(USERS, "load-1", "slice-00")
            basis = destination.chunk_basis(USERS).sequence
            commit = ChunkCommit(USERS, "load-1", "slice-00", epoch, basis, None, False)
            return destination.write(batch(commit, table)).tables[USERS]

        return chunk

    def cut(table: ConformedTable) -> TableReceipt:
        nonlocal stream
        receipt = destination.write(batch(stream, table))
        assert receipt.stream_sequence is not None
        stream = replace(stream, sequence=receipt.stream_sequence)
        return receipt.tables[USERS]

    return cut


# SPEC: E8, T5
@pytest.mark.parametrize("mode", ["stream", "batch", "chunk"])
@pytest.mark.parametrize("lost", [POISON, WHOLE, UNREADABLE], ids=["value", "row", "row without a key"])
def test_a_loss_that_is_read_again_unchanged_is_told_once(lab: DestinationLab, mode: str, lost: DeadLetter) -> None:
    write = writer(lab.open(), mode)
    assert [write(losing(lost)).rows_rejected for _ in range(3)] == [1, 0, 0]
    assert lab.letter_statuses(USERS) == ["pending"]
    assert lab.error_types(USERS) == [lost.reason]


@pytest.mark.parametrize("mode", ["stream", "batch", "chunk"])
@pytest.mark.parametrize("other", [{"record": "{}"}, {"reason": "conversion"}, {"column": "other"}], ids=str)
def test_another_loss_of_the_same_row_takes_the_place_of_the_first(
    lab: DestinationLab, mode: str, other: dict[str, str]
) -> None:
    write = writer(lab.open(), mode)
    write(losing(POISON))
    write(losing(replace(POISON, **other)))
    assert lab.letter_statuses(USERS) == ["pending", "superseded"]
    assert len(lab.error_types(USERS)) == 2


def test_one_of_several_losses_may_stay(lab: DestinationLab) -> None:
    write = writer(lab.open(), "batch")
    write(losing(POISON, replace(POISON, column="other")))
    write(losing(POISON, WHOLE))
    assert lab.letter_statuses(USERS) == ["pending", "pending", "superseded"]
    assert len(lab.error_types(USERS)) == 3


def test_a_loss_is_told_again_once_it_was_mended_in_between(lab: DestinationLab) -> None:
    write = writer(lab.open(), "stream")
    for lost in ((POISON,), (), (POISON,)):
        write(losing(*lost))
    assert lab.letter_statuses(USERS) == ["pending", "superseded"]
    write(losing(deletes=(1,)))
    assert lab.letter_statuses(USERS) == ["superseded", "superseded"]


# SPEC: E7
def test_a_row_that_is_set_aside_again_is_not_stale(lab: DestinationLab) -> None:
    destination = lab.open()
    write = writer(destination, "stream")
    write(part(V1, [{"id": 2, "name": "as it was"}]))
    write(losing(WHOLE))
    destination.save_plan(USERS, [KeyRange()])
    destination.open_generation(USERS, "resync-1")
    epoch, _ = destination.seize_slice(USERS, "resync-1", "slice-00")
    basis = destination.chunk_basis(USERS).sequence
    destination.write(batch(ChunkCommit(USERS, "resync-1", "slice-00", epoch, basis, None, True), losing(WHOLE)))
    assert destination.close_generation(USERS, "resync-1", "run-1") == 0
    assert set(lab.rows(USERS)) == {1, 2}
    assert lab.letter_statuses(USERS) == ["pending"]


def test_a_batch_that_changes_nothing_warns_of_nothing(lab: DestinationLab) -> None:
    write = writer(lab.open(), "batch")
    warning = ErrorEntry(USERS, "type_conversion", "Values of text fit", "converted", column="name")
    for _ in range(3):
        write(losing(warnings=(warning,)))
    assert lab.error_types(USERS) == ["type_conversion"]
