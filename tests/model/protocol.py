"""All that may happen next in a world, and the exploring of a scope."""

from __future__ import annotations

from collections.abc import Iterator

from tests.model.exploring import Outcome, Step, explore
from tests.model.reading import reader_steps
from tests.model.replaying import replay_steps
from tests.model.rules import ALL_RULES, Rule, Rules
from tests.model.streaming import writer_steps
from tests.model.world import GONE, Scope, State, Writer, settled, value_now


def explored(scope: Scope, rules: Rules = ALL_RULES) -> Outcome:
    """Everything that can happen in a scope."""
    keeps_log = Rule.READ_UP_TO_DATE not in rules

    def steps(state: State) -> Iterator[Step[State]]:
        for text, after, is_help in _steps(state, scope, rules):
            yield text, settled(after, scope, keeps_log=keeps_log), is_help

    return explore(settled(scope.start, scope, keeps_log=keeps_log), steps)


def _steps(state: State, scope: Scope, rules: Rules) -> Iterator[Step[State]]:
    if state.left.writes:
        yield from _source_steps(state, scope)
    for number in range(len(state.writers)):
        yield from writer_steps(state, number, scope, rules)
    if scope.reader_count or state.readings:
        yield from reader_steps(state, scope, rules)
    yield from replay_steps(state, scope, rules)
    if state.left.losses and state.gone < len(state.log):
        left = state.left._replace(losses=state.left.losses - 1)
        yield "the log up to here is gone", state._replace(left=left, gone=len(state.log)), False
    if state.left.moves:
        yield from _moves(state)


def _source_steps(state: State, scope: Scope) -> Iterator[Step[State]]:
    left = state.left._replace(writes=state.left.writes - 1)
    for key in range(len(scope.keys)) if scope.written is None else scope.written:
        value = 1 + max(_values(state, key))
        changed = state._replace(left=left, log=(*state.log, (key, value)))
        yield f"the source writes key {key}", changed, False
        if value_now(state, key) != GONE:
            yield f"the source deletes key {key}", changed._replace(log=(*state.log, (key, GONE))), False


def _values(state: State, key: int) -> Iterator[int]:
    yield state.base[key]
    for its, value in state.log:
        if its == key:
            yield value
    for found in (state.rows[key], state.letters[key]):
        if found is not None:
            yield found[0]
    if state.replay is not None and state.replay[0] == key and state.replay[1] is not None:
        yield state.replay[1][0]


def _moves(state: State) -> Iterator[Step[State]]:
    """The engine is started again with another list of tables."""
    left = state.left._replace(moves=state.left.moves - 1)
    writers = (Writer(),) * len(state.writers)
    text = "the engine is started with" + ("out" if state.is_listed else "") + " table A"
    yield text, state._replace(left=left, writers=writers, is_listed=not state.is_listed), False
