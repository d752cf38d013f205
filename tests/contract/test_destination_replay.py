"""What every destination owes when dead letters are replayed: never over what is newer, each letter settled."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from tests.contract.conformed import batch, creation, first_schema, letter, moved, part
from tests.contract.laboratories import DestinationLab
from warp_resources.connectors.interfaces import Destination
from warp_resources.model.batches import ConformedTable, DeadLetter, ErrorEntry, WriteReceipt
from warp_resources.model.letters import ErrorSelection, KeptLetter, LetterSelection
from warp_resources.model.positions import ChunkCommit, KeyRange, ReplayCommit, StreamCommit
from warp_resources.model.replays import LetterOutcome, ReplayedKey
from warp_resources.model.tables import TableId

SCHEMA = "shop"
USERS = TableId(SCHEMA, "users")
V1 = first_schema(USERS)
POISON = letter(USERS, 1, "name")
WHOLE = letter(USERS, 2, None)
GONE = replace(letter(USERS, 3, None), operation="delete", reason="foreign_key")


@dataclass
class Line:
    """A stream with the table made, and replays beside it."""

    destination: Destination
    stream: StreamCommit

    def write(self, table: ConformedTable) -> WriteReceipt:
        receipt = self.destination.write(batch(self.stream, table))
        assert receipt.stream_sequence is not None
        self.stream = replace(self.stream, sequence=receipt.stream_sequence)
        return receipt

    def letters(self, **chosen: object) -> list[KeptLetter]:
        return self.destination.dead_letters(LetterSelection(SCHEMA, **chosen))  # type: ignore[arg-type]

    def replay(self, table: ConformedTable | None, known: Iterable[KeptLetter] | None = None) -> LetterOutcome:
        """As the pipeline would: all pending letters of each key, the newest record of each."""
        by_key: dict[str, list[KeptLetter]] = {}
        for one in known if known is not None else self.letters():
            assert one.letter.key_text is not None
            by_key.setdefault(one.letter.key_text, []).append(one)
        keys = {
            key: ReplayedKey(
                max(its, key=lambda one: one.age).number,
                tuple(one.number for one in its),
                max(one.sequence for one in its),
            )
            for key, its in by_key.items()
        }
        parts = [table] if table is not None else []
        return self.destination.write(batch(ReplayCommit(USERS, keys, {}), *parts, run_id="replay")).letters


@pytest.fixture
def line(lab: DestinationLab) -> Line:
    destination = lab.open()
    state = destination.start_stream(SCHEMA, {"at": 1})
    stream = moved(SCHEMA, replace(state, sequence=destination.admit(moved(SCHEMA, state), [USERS], [])))
    made = Line(destination, stream)
    made.write(part(V1, changes=creation()))
    return made


def losing(
    *letters: DeadLetter, rows: tuple[dict[str, object], ...] = (), deletes: tuple[int, ...] = ()
) -> ConformedTable:
    """A batch that loses something, with an error entry for each letter."""
    entries = tuple(
        ErrorEntry(USERS, its.reason, "does not fit", "set aside", its.column, "warning", its.primary_key)
        for its in letters
    )
    return replace(part(V1, rows, deletes, letters=letters), errors=entries)


def reading(line: Line, generation: str) -> ChunkCommit:
    """The first chunk of a reading of the table as it is now."""
    line.destination.save_plan(USERS, [KeyRange()])
    line.destination.open_generation(USERS, generation)
    basis = line.destination.chunk_basis(USERS).sequence
    epoch, _ = line.destination.seize_slice(USERS, generation, "slice-00")
    return ChunkCommit(USERS, generation, "slice-00", epoch, basis, None, False)


# SPEC: T5, E7
def test_a_replayed_letter_puts_its_row_in_as_old_as_its_loss(line: Line, lab: DestinationLab) -> None:
    line.write(losing(POISON, WHOLE, rows=({"id": 1, "name": None},)))
    line.write(part(V1, [{"id": 9, "name": "later"}]))
    [poison, whole] = line.letters()
    outcome = line.replay(part(V1, [{"id": 1, "name": "one"}, {"id": 2, "name": "two"}]))
    assert outcome == LetterOutcome(replayed=2)
    rows = lab.rows(USERS)
    assert {key: row["name"] for key, row in rows.items()} == {1: "one", 2: "two", 9: "later"}
    assert rows[1]["_warp_sequence"] == poison.sequence == rows[2]["_warp_sequence"] == whole.sequence
    settled = line.letters(status=None)
    assert [(one.status, one.attempts, one.resolved_at is not None) for one in settled] == [("replayed", 1, True)] * 2


# FAULTS: 23
@pytest.mark.parametrize("later", ["write", "delete"])
def test_a_replay_never_overwrites_what_came_after_it_was_read(line: Line, lab: DestinationLab, later: str) -> None:
    line.write(losing(POISON, rows=({"id": 1, "name": None},)))
    known = line.letters()
    line.write(part(V1, [{"id": 1, "name": "newer"}] if later == "write" else [], [1] if later == "delete" else []))
    outcome = line.replay(part(V1, [{"id": 1, "name": "older"}]), known)
    assert outcome == LetterOutcome(superseded=1)
    assert [row["name"] for row in lab.rows(USERS).values()] == (["newer"] if later == "write" else [])
    assert lab.letter_statuses(USERS) == ["superseded"]


def test_a_row_that_a_chunk_wrote_since_is_not_overwritten(line: Line, lab: DestinationLab) -> None:
    line.write(losing(WHOLE))
    known = line.letters()
    chunk = reading(line, "load-1")
    line.destination.write(batch(chunk, part(V1, [{"id": 2, "name": "chunk"}])))
    assert line.replay(part(V1, [{"id": 2, "name": "letter"}]), known) == LetterOutcome(superseded=1)
    assert lab.rows(USERS)[2]["name"] == "chunk"


# SPEC: E8, M5
@pytest.mark.parametrize("fate", ["replayed", "discarded"])
def test_a_chunk_leaves_a_key_alone_that_was_quarantined_whole_since_it_was_read(
    line: Line, lab: DestinationLab, fate: str
) -> None:
    line.write(part(V1, [{"id": 2, "name": "first"}, {"id": 7, "name": "seven"}]))
    chunk = replace(reading(line, "load-1"), is_done=True)
    line.write(losing(WHOLE))
    older = losing(replace(WHOLE, column="name"), rows=({"id": 2, "name": None}, {"id": 7, "name": "chunk"}))
    line.destination.write(batch(chunk, older))
    assert {key: row["name"] for key, row in lab.rows(USERS).items()} == {2: "first", 7: "chunk"}
    assert lab.letter_statuses(USERS) == ["pending", "superseded"]
    if fate == "discarded":
        line.destination.discard_letters(LetterSelection(SCHEMA))
    assert line.destination.close_generation(USERS, "load-1", "run-1") == 0
    if fate == "replayed":
        assert line.replay(part(V1, [{"id": 2, "name": "letter"}])) == LetterOutcome(replayed=1)
    assert lab.rows(USERS)[2]["name"] == ("letter" if fate == "replayed" else "first")


def test_a_reading_that_began_before_a_replay_still_finds_the_row_stale(line: Line, lab: DestinationLab) -> None:
    line.write(losing(WHOLE))
    line.destination.save_plan(USERS, [KeyRange()])
    line.destination.open_generation(USERS, "resync-1")
    line.replay(part(V1, [{"id": 2, "name": "gone at the source"}]))
    epoch, _ = line.destination.seize_slice(USERS, "resync-1", "slice-00")
    basis = line.destination.chunk_basis(USERS).sequence
    line.destination.write(batch(ChunkCommit(USERS, "resync-1", "slice-00", epoch, basis, None, True), part(V1)))
    assert line.destination.close_generation(USERS, "resync-1", "run-1") == 1
    assert lab.rows(USERS) == {}


def test_what_is_lost_again_stays_and_is_not_told_twice(line: Line, lab: DestinationLab) -> None:
    line.write(losing(POISON, WHOLE, rows=({"id": 1, "name": None},)))
    told = lab.error_types(USERS)
    again = losing(POISON, WHOLE, rows=({"id": 1, "name": None},))
    for attempts in (1, 2):
        assert line.replay(again) == LetterOutcome(pending={"type_conflict": 2})
        letters = line.letters()
        assert [(one.attempts, one.last_error) for one in letters] == [(attempts, "does not fit")] * 2
    assert lab.error_types(USERS) == told
    assert line.letters(is_due=True) == []
    assert line.letters(max_attempts=2) == []


def test_another_loss_takes_the_place_of_the_first(line: Line, lab: DestinationLab) -> None:
    line.write(losing(WHOLE))
    other = replace(WHOLE, reason="unique")
    assert line.replay(losing(other)) == LetterOutcome(superseded=1, pending={"unique": 1})
    [pending] = line.letters()
    assert pending.letter == other
    assert line.replay(part(V1, [{"id": 2, "name": "two"}])) == LetterOutcome(replayed=1)


def test_the_newest_record_of_a_key_settles_all_of_them(line: Line, lab: DestinationLab) -> None:
    column = replace(POISON, column="other", record='{"id": 1, "older": true}')
    first = reading(line, "load-1")
    line.destination.write(batch(first, losing(replace(POISON, column=None))))
    second = replace(reading(line, "load-2"), basis=first.basis)
    line.destination.write(batch(second, losing(column, rows=({"id": 1, "name": "older"},))))
    assert len(line.letters()) == 2
    assert line.replay(part(V1, [{"id": 1, "name": "newest"}])) == LetterOutcome(replayed=1, superseded=1)
    assert lab.rows(USERS)[1]["name"] == "newest"


def test_a_refused_delete_is_replayed_as_a_delete(line: Line, lab: DestinationLab) -> None:
    line.write(part(V1, [{"id": 3, "name": "parent"}, {"id": 4, "name": "other"}]))
    line.write(losing(GONE))
    assert line.replay(part(V1, deletes=[3])) == LetterOutcome(replayed=1)
    assert set(lab.rows(USERS)) == {4}
    assert lab.deletion_count(USERS) == 1


def test_a_record_that_gives_no_row_stays_pending(line: Line) -> None:
    line.write(losing(WHOLE))
    assert line.replay(None) == LetterOutcome(pending={"type_conflict": 1})
    [pending] = line.letters()
    assert pending.attempts == 1
    assert pending.last_error


def test_letters_are_found_counted_and_discarded(line: Line, lab: DestinationLab) -> None:
    destination = line.destination
    line.write(losing(POISON, WHOLE, GONE, rows=({"id": 1, "name": None},)))
    assert [one.letter.key_text for one in line.letters(reasons=("foreign_key",))] == ["3"]
    assert [one.letter.key_text for one in line.letters(newest_first=True, limit=2)] == ["3", "2"]
    assert [one.letter.key_text for one in line.letters(keys=("1",))] == ["1"]
    assert line.letters(table="orders") == []
    [light] = destination.dead_letters(LetterSelection(SCHEMA, limit=1), with_records=False)
    assert (light.letter.record, light.byte_count) == ("", len(POISON.record))
    discarded = destination.discard_letters(LetterSelection(SCHEMA, ids=(light.number,)))
    assert discarded == 1
    counts = destination.letter_counts(LetterSelection(SCHEMA, status=None))
    assert {(one.reason, one.status): one.count for one in counts} == {
        ("foreign_key", "pending"): 1,
        ("type_conflict", "discarded"): 1,
        ("type_conflict", "pending"): 1,
    }
    assert lab.letter_statuses(USERS) == ["discarded", "pending", "pending"]
    assert destination.discard_letters(LetterSelection(SCHEMA, ids=(light.number,))) == 0


# SPEC: T4
def test_errors_are_found_newest_first(line: Line) -> None:
    destination = line.destination
    line.write(losing(POISON, rows=({"id": 1, "name": None},)))
    line.write(losing(WHOLE))
    found = destination.logged_errors(ErrorSelection(SCHEMA))
    assert [one.entry.primary_key for one in found] == [WHOLE.primary_key, POISON.primary_key]
    assert destination.logged_errors(ErrorSelection(SCHEMA, limit=1)) == found[:1]
    assert destination.logged_errors(ErrorSelection(SCHEMA, table="orders")) == []
    assert destination.logged_errors(ErrorSelection(SCHEMA, error_type="other")) == []
    later = found[0].occurred_at + timedelta(seconds=1)
    assert destination.logged_errors(ErrorSelection(SCHEMA, since=later)) == []


def test_nothing_is_found_before_the_first_run(lab: DestinationLab) -> None:
    destination = lab.make()
    assert destination.dead_letters(LetterSelection(SCHEMA)) == []
    assert destination.letter_counts(LetterSelection(SCHEMA)) == []
    assert destination.logged_errors(ErrorSelection(SCHEMA)) == []
    destination.close()
