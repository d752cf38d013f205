"""What a replay of dead letters may do: read a letter, and write its record where nothing newer is there."""

from __future__ import annotations

from collections.abc import Iterator

from tests.model.exploring import Step
from tests.model.rules import Rule, Rules
from tests.model.world import GONE, Row, Scope, State, is_writable, put


def replay_steps(state: State, scope: Scope, rules: Rules) -> Iterator[Step[State]]:
    if state.replay is not None:
        yield from _commit(state, scope, rules)
        return
    for key, letter in enumerate(state.letters):
        if letter is None or not is_writable(state, key, letter[0], scope):
            continue
        if letter[3] and Rule.RETRY_CHILDREN not in rules:
            continue
        yield f"a replay reads the letter of key {key}", state._replace(replay=(key, letter)), True


def _commit(state: State, scope: Scope, rules: Rules) -> Iterator[Step[State]]:
    assert state.replay is not None
    key, letter = state.replay
    assert letter is not None
    free = state._replace(replay=None)
    if state.letters[key] != letter and Rule.STILL_PENDING in rules:
        yield f"the letter of key {key} is no longer pending", free, True
        return
    row = state.rows[key]
    # The product also looks whether the row is newer than the letter: a second guard, as no pending letter has one.
    settled = put(state.letters, key, None) if state.letters[key] == letter else state.letters
    if not is_writable(state, key, letter[0], scope):
        yield f"the letter of key {key} is refused again", free, True
        return
    value, seq = letter[0], state.seq + 1
    age = letter[1] if Rule.KEEP_AGE in rules else seq
    new: Row = (value, age)
    tombs = state.tombs
    if value == GONE:
        new = (GONE, age) if scope.is_soft and row is not None else None
        tombs = put(tombs, key, max(tombs[key], age)) if state.readings else tombs
    after = free._replace(letters=settled, rows=put(state.rows, key, new), tombs=tombs, seq=seq)
    yield f"the letter of key {key} is replayed", after, True
