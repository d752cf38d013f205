"""What becomes of the letters of a key whose newest record was written again."""

from __future__ import annotations

from dataclasses import replace

from warp_resources.evolution.replays import NO_ROW, UNWRITTEN, Pending, settle, writable_keys
from warp_resources.model.batches import DeadLetter, ErrorEntry
from warp_resources.model.positions import ReplayCommit
from warp_resources.model.replays import LetterOutcome, ReplayedKey
from warp_resources.model.tables import TableId

USERS = TableId("shop", "users")
NAME = Pending(1, "7", "name", "drastic_change", sequence=5, basis=5, digest=b"a")
ROW = Pending(2, "7", None, "foreign_key", sequence=5, basis=5, digest=b"a")
WARNING = ErrorEntry(USERS, "type_conversion", "Values of text fit", "converted", column="n")


def commit(*letters: Pending, **failed: str) -> ReplayCommit:
    newest = max(letters, key=lambda one: one.age, default=None)
    numbers = tuple(one.number for one in letters)
    keys = {"7": ReplayedKey(newest.number, numbers, max(one.sequence for one in letters))} if newest else {}
    return ReplayCommit(USERS, keys, {int(name.strip("_")): why for name, why in failed.items()})


def loss(column: str | None, reason: str) -> tuple[DeadLetter, ErrorEntry]:
    letter = DeadLetter(USERS, '{"_id": 7}', "upsert", reason, column, "{}", "extended_json", "7")
    return letter, ErrorEntry(USERS, reason, f"{reason}!", "set aside", column, primary_key='{"_id": 7}')


def test_without_losses_all_are_replayed() -> None:
    verdict = settle(commit(NAME, ROW), [NAME, ROW], (), {"7"}, (), (WARNING,))
    assert (verdict.replayed, verdict.superseded, verdict.failed, verdict.new) == ([1, 2], [], {}, [])
    assert verdict.errors == [WARNING]
    assert verdict.outcome == LetterOutcome(replayed=2)


def test_the_same_loss_stays_and_is_not_said_again() -> None:
    letter, entry = loss("name", "drastic_change")
    verdict = settle(commit(NAME), [NAME], (), {"7"}, [letter], [entry, WARNING])
    assert verdict.failed == {1: "drastic_change!"}
    assert (verdict.new, verdict.errors) == ([], [WARNING])
    assert verdict.outcome == LetterOutcome(pending={"drastic_change": 1})


def test_another_loss_of_the_same_column_takes_its_place() -> None:
    letter, entry = loss("name", "conversion")
    verdict = settle(commit(NAME), [NAME], (), {"7"}, [letter], [entry])
    assert (verdict.superseded, [(one.letter, one.sequence, one.basis) for one in verdict.new]) == (
        [1],
        [(letter, 5, 5)],
    )
    assert verdict.errors == [entry]


def test_values_of_a_row_that_is_refused_stay_lost() -> None:
    letter, entry = loss(None, "unique")
    verdict = settle(commit(NAME), [NAME], (), {"7"}, [letter], [entry])
    assert verdict.failed == {1: UNWRITTEN}
    assert [one.letter for one in verdict.new] == [letter]
    assert verdict.outcome == LetterOutcome(pending={"drastic_change": 1, "unique": 1})


def test_older_records_are_superseded_by_the_newest() -> None:
    older = replace(NAME, number=3, basis=4, digest=b"b")
    verdict = settle(commit(older, ROW), [older, ROW], (), {"7"}, (), ())
    assert (verdict.replayed, verdict.superseded) == ([2], [3])


def test_rows_that_are_newer_supersede_their_letters() -> None:
    verdict = settle(commit(NAME, ROW), [NAME, ROW], {"7"}, {"7"}, (), ())
    assert verdict.superseded == [1, 2]


def test_what_is_no_longer_pending_is_not_written() -> None:
    newer = replace(NAME, number=9, sequence=8, basis=8)
    assert writable_keys(commit(NAME), []) == set()
    assert writable_keys(commit(NAME), [NAME, newer]) == set()
    assert settle(commit(NAME), [], (), {"7"}, (), ()).outcome == LetterOutcome(superseded=1)
    verdict = settle(commit(NAME), [NAME, newer], (), {"7"}, (), ())
    assert (verdict.replayed, verdict.superseded, verdict.failed) == ([], [], {})
    assert verdict.outcome == LetterOutcome(pending={"drastic_change": 2})


def test_a_record_without_its_row_and_one_that_could_not_be_tried_stay_pending() -> None:
    assert settle(commit(NAME), [NAME], (), (), (), ()).failed == {1: NO_ROW}
    keyless = replace(NAME, number=4, key_text=None)
    assert settle(commit(_4="no key"), [keyless], (), (), (), ()).failed == {4: "no key"}
