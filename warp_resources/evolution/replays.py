"""Decides what becomes of the pending dead letters of keys whose records were written again."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from warp_resources.model.batches import DeadLetter, ErrorEntry
from warp_resources.model.positions import ReplayCommit
from warp_resources.model.replays import LetterOutcome

UNWRITTEN = "Its row could not be written"
NO_ROW = "Its record gives no row of its key"


@dataclass(frozen=True, slots=True)
class Pending:
    """A letter that is still pending under the lock of its table; equal ``digest``: of the same record."""

    number: int
    key_text: str | None
    column: str | None
    reason: str
    sequence: int
    basis: int
    digest: bytes

    @property
    def age(self) -> tuple[int, int, int]:
        return self.basis, self.sequence, self.number


@dataclass(frozen=True, slots=True)
class NewLetter:
    """A loss that no letter tells of yet, as old as the record that it is of."""

    letter: DeadLetter
    sequence: int
    basis: int


@dataclass(frozen=True, slots=True)
class Settlement:
    """What to do with each letter, by its number, and what is told anew. ``failed`` gives each its reason why."""

    replayed: Sequence[int]
    superseded: Sequence[int]
    failed: Mapping[int, str]
    new: Sequence[NewLetter]
    errors: Sequence[ErrorEntry]
    outcome: LetterOutcome


def writable_keys(commit: ReplayCommit, pending: Iterable[Pending]) -> set[str]:
    """The keys whose newest pending letter is the one that the commit was made of."""
    newest = _newest(pending)
    return {key for key, its in commit.keys.items() if key in newest and newest[key].number == its.winner}


def settle(
    commit: ReplayCommit,
    pending: Sequence[Pending],
    overtaken: Collection[str],
    present: Collection[str | None],
    losses: Sequence[DeadLetter],
    errors: Sequence[ErrorEntry],
) -> Settlement:
    """Each letter is replayed, superseded or lost again; what is lost for the first time gets a letter.

    Args:
        pending: all pending letters of the keys, under the lock.
        overtaken: keys whose row is newer than their letters.
        present: keys that were among the rows, deletes or losses of the batch.
        losses: what was lost in writing the records, ``errors`` what was said of it and of conversions.
    """
    writable = writable_keys(commit, pending)
    lost: dict[str, list[DeadLetter]] = defaultdict(list)
    for loss in losses:
        if loss.key_text in writable and loss.key_text not in overtaken:
            lost[str(loss.key_text)].append(loss)
    messages = {(entry.error_type, entry.column, entry.primary_key): entry.message for entry in errors}
    verdicts: dict[int, str | bool] = {}
    new: list[NewLetter] = []
    for key, its in _by_key(pending).items():
        if key not in writable:
            continue
        newest = max(its, key=lambda letter: letter.age)
        same = [letter for letter in its if letter.digest == newest.digest and key not in overtaken]
        verdicts |= dict.fromkeys((letter.number for letter in its), False)
        verdicts |= {letter.number: _verdict(letter, lost[key], key in present, messages) for letter in same}
        known = {(letter.column, letter.reason) for letter in same}
        untold = [loss for loss in lost[key] if (loss.column, loss.reason) not in known]
        new += [NewLetter(loss, commit.keys[key].sequence, newest.basis) for loss in untold]
    replayed = [number for number, verdict in verdicts.items() if verdict is True]
    superseded = [number for number, verdict in verdicts.items() if verdict is False]
    return Settlement(
        replayed,
        superseded,
        _failed(commit, pending, verdicts),
        new,
        [entry for entry in errors if _is_news(entry, new)],
        _outcome(commit, pending, replayed, superseded, new),
    )


def _failed(commit: ReplayCommit, pending: Iterable[Pending], verdicts: Mapping[int, str | bool]) -> dict[int, str]:
    untried = {letter.number: commit.failed[letter.number] for letter in pending if letter.number in commit.failed}
    return untried | {number: verdict for number, verdict in verdicts.items() if isinstance(verdict, str)}


def _verdict(
    letter: Pending,
    lost: Sequence[DeadLetter],
    is_present: bool,
    messages: Mapping[tuple[str, str | None, str | None], str],
) -> str | bool:
    """True: replayed. False: another letter tells of it now. Else why it is still pending."""
    if not is_present:
        return NO_ROW
    for loss in lost:
        if (loss.column, loss.reason) == (letter.column, letter.reason):
            return messages.get((loss.reason, loss.column, loss.primary_key), loss.reason)
    if any(loss.column == letter.column for loss in lost):
        return False
    return UNWRITTEN if any(loss.column is None for loss in lost) else True


def _is_news(entry: ErrorEntry, new: Iterable[NewLetter]) -> bool:
    """What a pending letter tells already is not said again, nor what is said of rows that were not written."""
    place = (entry.error_type, entry.column, entry.primary_key)
    return entry.primary_key is None or any(
        place == (its.letter.reason, its.letter.column, its.letter.primary_key) for its in new
    )


def _outcome(
    commit: ReplayCommit,
    pending: Sequence[Pending],
    replayed: Sequence[int],
    superseded: Sequence[int],
    new: Iterable[NewLetter],
) -> LetterOutcome:
    """Letters that were no longer pending when the lock was held have been superseded by a later write."""
    meant = {number for its in commit.keys.values() for number in its.letters} | set(commit.failed)
    gone = meant - {letter.number for letter in pending}
    left = Counter(letter.reason for letter in pending if letter.number not in {*replayed, *superseded})
    left.update(its.letter.reason for its in new)
    return LetterOutcome(len(replayed), len(superseded) + len(gone), dict(left))


def _newest(pending: Iterable[Pending]) -> dict[str, Pending]:
    return {key: max(its, key=lambda letter: letter.age) for key, its in _by_key(pending).items()}


def _by_key(pending: Iterable[Pending]) -> dict[str, list[Pending]]:
    found: dict[str, list[Pending]] = defaultdict(list)
    for letter in pending:
        if letter.key_text is not None:
            found[letter.key_text].append(letter)
    return found
