"""What those who read table A may do: claim a slice, write a chunk, close a reading, repair a key."""

from __future__ import annotations

from collections.abc import Iterator

from tests.model.committing import chunk_written, ended, stale_removed
from tests.model.exploring import Step
from tests.model.rules import Rule, Rules
from tests.model.world import (
    GONE,
    REPAIR,
    RESYNC,
    A,
    Reader,
    Reading,
    Scope,
    State,
    put,
    value_at,
)

READ_TWICE = "a chunk that was finished was written again"
NOT_OPEN = "a chunk was written into a reading that had ended"


def reader_steps(state: State, scope: Scope, rules: Rules) -> Iterator[Step[State]]:
    if state.readings and len(state.readers) < scope.reader_count:
        yield from _claims(state, scope, rules)
    for number, its in enumerate(state.readers):
        yield from _chunk(state, number, its, scope, rules)
    yield from _closing(state, scope, rules)
    if state.left.races:
        yield from _races(state, scope, rules)
    if state.left.resyncs and state.is_covered and state.is_loaded:
        left = state.left._replace(resyncs=state.left.resyncs - 1)
        opened = (*state.readings, Reading(RESYNC, state.seq, scope.unread))
        yield "a resync of table A is opened", state._replace(left=left, readings=opened), False
    if state.left.repairs and state.is_covered and state.is_loaded:
        yield from _repair(state, scope, rules)


def _claims(state: State, scope: Scope, rules: Rules) -> Iterator[Step[State]]:
    for index, reading in enumerate(state.readings):
        if reading.kind == REPAIR:
            continue
        for part in sorted({its[1] for its in scope.keys if its[0] == A}):
            holders = [its for its in state.readers if its.slice == part and its.has_claim]
            keys = [key for key, its in enumerate(scope.keys) if its == (A, part)]
            unread = [key for key in keys if not reading.done[key]]
            if Rule.RESUME_AFTER_CLAIM not in rules:
                # As it was listed before somebody else wrote the first of its chunks.
                unread = keys
            if not unread or (holders and not state.left.lapses):
                continue
            after = state
            if holders:
                after = after._replace(left=state.left._replace(lapses=state.left.lapses - 1))
            yield (
                f"key {unread[0]} is claimed for reading {index}",
                _claimed(after, index, part, unread[0], rules),
                not holders,
            )


def _claimed(state: State, index: int, part: int, key: int, rules: Rules) -> State:
    readers = tuple(its._replace(has_claim=False) if its.slice == part else its for its in state.readers)
    return state._replace(readers=(*readers, _noted(state, index, part, key, rules)))


def _noted(state: State, index: int, part: int, key: int, rules: Rules) -> Reader:
    """The claim is taken and the basis noted, with the place up to which the stream has written."""
    not_before = state.position or 0
    if Rule.READ_PAST_PLACE in rules and state.place is not None:
        not_before = max(not_before, state.place)
    if Rule.READ_UP_TO_DATE not in rules:
        not_before = 0
    return Reader(index, part, True, key, state.seq, not_before)


def _chunk(state: State, number: int, its: Reader, scope: Scope, rules: Rules) -> Iterator[Step[State]]:
    """A chunk reads any state since what it may not be older than, and commits."""
    free = _without(state, number)
    if not its.has_claim and Rule.CLAIM_SLICE in rules:
        yield f"the chunk of key {its.key} is refused", free, True
        return
    if its.reading < 0 and Rule.OPEN_AT_COMMIT in rules:
        yield f"the chunk of key {its.key} finds its reading ended", free, True
        return
    values = {value_at(state, its.key, position) for position in range(its.not_before, len(state.log) + 1)}
    reading = state.readings[its.reading] if its.reading >= 0 else None
    fault = ""
    if reading is not None and reading.kind != REPAIR and reading.done[its.key]:
        fault = READ_TWICE
    for value in sorted(values):
        what = "nothing" if value == GONE else f"value {value}"
        after = chunk_written(free, its, value, scope, rules, is_refused=False)
        yield f"the chunk of key {its.key} read {what} and commits", _done(after, its, reading, fault), True
        if state.left.refusals and value != GONE:
            left = free.left._replace(refusals=free.left.refusals - 1)
            after = chunk_written(free._replace(left=left), its, value, scope, rules, is_refused=True)
            yield f"the chunk of key {its.key} quarantines value {value}", _done(after, its, reading, fault), False


def _done(state: State, its: Reader, reading: Reading | None, fault: str) -> State:
    if reading is None:
        return state
    if reading.kind == REPAIR:
        return ended(state, its.reading)
    part = reading._replace(done=put(reading.done, its.key, True))
    return state._replace(readings=put(state.readings, its.reading, part), fault=fault)


def _without(state: State, number: int) -> State:
    return state._replace(readers=(*state.readers[:number], *state.readers[number + 1 :]))


def _closing(state: State, scope: Scope, rules: Rules) -> Iterator[Step[State]]:
    for index, reading in enumerate(state.readings):
        if reading.kind == REPAIR:
            if not any(its.reading == index for its in state.readers):
                yield "an interrupted repair is given up", ended(state, index), True
            continue
        is_read = all(reading.done)
        if Rule.READ_ALL_SLICES not in rules:
            is_read = any(done and not was for done, was in zip(reading.done, scope.unread, strict=True))
        if not is_read:
            continue
        if reading.stage == 0:
            after = _settled_letters(state, reading, scope) if Rule.SUPERSEDE_UNSEEN in rules else state
            yield "letters older than the reading are settled", _staged(after, index, 1), True
        elif reading.stage == 1:
            after = stale_removed(state, reading, scope, rules) if Rule.REMOVE_STALE in rules else state
            yield "stale rows are removed", _staged(after, index, 2), True
        else:
            yield "the reading is closed", ended(state, index)._replace(is_loaded=True), True


def _races(state: State, scope: Scope, rules: Rules) -> Iterator[Step[State]]:
    """A reading is abandoned while somebody claims a slice of it, so that the claim outlives it."""
    left = state.left._replace(races=state.left.races - 1)
    for index, reading in enumerate(state.readings):
        for key, its in enumerate(scope.keys):
            if reading.kind == RESYNC and its[0] == A and not reading.done[key]:
                claim = _noted(state, -1, its[1], key, rules)
                after = ended(state._replace(left=left), index)
                text = f"key {key} is claimed while its reading is abandoned"
                yield text, after._replace(readers=(*after.readers, claim)), False


def _settled_letters(state: State, reading: Reading, scope: Scope) -> State:
    letters = tuple(
        None if its is not None and scope.keys[key][0] == A and its[1] <= reading.first else its
        for key, its in enumerate(state.letters)
    )
    return state._replace(letters=letters)


def _staged(state: State, index: int, stage: int) -> State:
    return state._replace(readings=put(state.readings, index, state.readings[index]._replace(stage=stage)))


def _repair(state: State, scope: Scope, rules: Rules) -> Iterator[Step[State]]:
    """A repair claims a slice that nobody reads, whatever key it mends."""
    left = state.left._replace(repairs=state.left.repairs - 1)
    taken = {its.slice for its in state.readers if its.has_claim}
    free = [part for part in sorted({its[1] for its in scope.keys if its[0] == A}) if part not in taken]
    if not free:
        return
    index = len(state.readings)
    kind = REPAIR if Rule.REPAIR_KEEPS in rules else RESYNC
    done = scope.unread if Rule.REPAIR_KEEPS in rules else (True,) * len(scope.keys)
    opened = state._replace(left=left, readings=(*state.readings, Reading(kind, state.seq, done)))
    for key, its in enumerate(scope.keys):
        if its[0] == A:
            yield f"a repair of key {key} begins", _claimed(opened, index, free[-1], key, rules), False
