"""What becomes of a table that is set aside: it catches up, joins its stream again, or is read anew."""

from __future__ import annotations

from collections.abc import Iterator

from tests.model.committing import applied, content_of, ended
from tests.model.exploring import Step
from tests.model.fencing import committed, with_writer
from tests.model.rules import Rule, Rules
from tests.model.world import LOAD, REOPENING, RUNNING, Reading, Scope, State, Writer


def aside_steps(state: State, number: int, who: str, scope: Scope, rules: Rules) -> Iterator[Step[State]]:
    its = state.writers[number]
    place = its.place
    assert place is not None
    if its.is_ready:
        return
    if place == its.at:
        for _, after in committed(state, number, rules, its.at, None, None):
            yield "table A joins where the stream is", after, True
    elif place > its.at:
        yield "table A is ahead of the stream and waits", with_writer(state, number, its._replace(is_ready=True)), True
    elif place < state.gone:
        yield from _read_anew(state, number, who, scope, rules)
    else:
        yield from _catching_up(state, number, place, scope, rules)


def _catching_up(state: State, number: int, place: int, scope: Scope, rules: Rules) -> Iterator[Step[State]]:
    its = state.writers[number]
    for size in scope.own_sizes:
        end = place + size
        if end > len(state.log):
            continue
        content = content_of(state, place, end, scope, only_a=True)
        if not content:
            yield f"table A passes {end}", with_writer(state, number, its._replace(place=end)), True
            continue
        for refused, after in committed(state, number, rules, None, end, end):
            if not refused and Rule.PLACE_WITH_ROWS not in rules and state.left.crashes:
                # The place is committed first, and a crash comes between the two.
                yield f"table A's place {end} is committed and no rows", with_writer(after, number, Writer()), False
            yield f"table A catches up to {end}", after if refused else applied(after, content, scope, rules), True
        if state.left.refusals:
            left = state.left._replace(refusals=state.left.refusals - 1)
            for key in content:
                for refused, after in committed(state._replace(left=left), number, rules, None, end, end):
                    after = after if refused else applied(after, content, scope, rules, frozenset({key}))
                    yield f"table A catches up to {end} and quarantines key {key}", after, False


def _read_anew(state: State, number: int, who: str, scope: Scope, rules: Rules) -> Iterator[Step[State]]:
    """What the table has missed is gone: one transaction covers it from here on and opens its reading."""
    its = state.writers[number]
    if its.at > (state.position or 0) and Rule.SAVE_BEFORE_READMIT in rules:
        return
    if Rule.READ_WITH_COVERAGE not in rules and its.phase == RUNNING:
        opened = (*state.readings, Reading(LOAD, state.seq, scope.unread))
        waiting = with_writer(state._replace(readings=opened), number, its._replace(phase=REOPENING))
        yield f"{who} opens a reading of table A", waiting, True
        return
    for refused, after in committed(state, number, rules, None, None, None):
        if not refused:
            after = _covered_anew(after, number, scope, rules)
        yield f"{who} covers table A anew", after, True


def _covered_anew(state: State, number: int, scope: Scope, rules: Rules) -> State:
    state = with_writer(state, number, state.writers[number]._replace(phase=RUNNING))
    if Rule.READ_ANEW not in rules:
        return state
    state = state._replace(is_covered=True, is_loaded=False)
    if Rule.READ_WITH_COVERAGE not in rules:
        # What has begun by now may have missed changes.
        for index in reversed(range(len(state.readings))):
            reading = state.readings[index]
            if reading.done != scope.unread:
                state = ended(state, index)
        return state
    if Rule.END_OLDER_READINGS in rules:
        state = ended(state, None)
    return state._replace(readings=(*state.readings, Reading(LOAD, state.seq, scope.unread)))
