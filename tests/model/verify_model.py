"""Explores every order in which a key can be verified beside the stream that brings its changes.

Nothing is ever lost in this world, so that whatever the verification is sure of is a false alarm.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple, TypeAlias

from tests.model.exploring import Outcome, Step, explore

GONE = 0
READINGS = 3
"""How often the key is read, one more than the product's own readings that lead to a verdict."""


class Rule(Enum):
    """What a verification promises; each one is needed."""

    TWO_READINGS = "a key differs only if it does in two readings"
    IS_FRESH = "a row that is newer than the reading it differed from does not count as the first of two"
    UNMOVED = "the row was not touched between the two readings"
    STREAM_PASSED = "the stream has passed the log's end of the first reading before the second begins"
    ABSENT_BY_LOG = "of a row that is not there, the log tells whether it came and went between"


Rules: TypeAlias = frozenset[Rule]
ALL_RULES: Rules = frozenset(Rule)


class Suspect(NamedTuple):
    """The row's sequence when it differed, None where there was none, and whether it was newer than the reading."""

    sequence: int | None
    is_fresh: bool


class State(NamedTuple):
    """``log`` are the values of the one key, ``at`` how many of them are written; a row is value and sequence."""

    log: tuple[int, ...] = (1,)
    at: int = 1
    row: tuple[int, int] | None = (1, 1)
    seq: int = 1
    basis: int | None = None
    read: int | None = None
    suspect: Suspect | None = None
    target: int | None = None
    position: int = 0
    is_done: bool = False
    readings: int = 0
    fault: str = ""

    @property
    def is_end(self) -> bool:
        return self.is_done and self.at == len(self.log)


def explored(rules: Rules = ALL_RULES, writes: int = 4) -> Outcome:
    """All that can happen while one key is verified and changes a few times."""
    return explore(State(), lambda state: _steps(state, rules, writes))


def _steps(state: State, rules: Rules, writes: int) -> Iterator[Step[State]]:
    if len(state.log) <= writes:
        value = 1 + max(state.log)
        yield "the source writes the key", state._replace(log=(*state.log, value)), False
        if state.log[-1] != GONE:
            yield "the source deletes the key", state._replace(log=(*state.log, GONE)), False
    if state.at < len(state.log):
        value = state.log[state.at]
        row = None if value == GONE else (value, state.seq + 1)
        yield "the stream writes the next change", state._replace(row=row, seq=state.seq + 1, at=state.at + 1), True
    if not state.is_done:
        yield from _verify(state, rules)


def _verify(state: State, rules: Rules) -> Iterator[Step[State]]:
    if state.suspect is not None and state.target is None and state.basis is None:
        yield "it is noted where the log ends", state._replace(target=len(state.log)), True
    elif state.target is not None:
        if state.at >= state.target or Rule.STREAM_PASSED not in rules:
            passed = state._replace(target=None, basis=state.seq, position=state.at)
            yield "the stream has passed there, and the basis is noted", passed, True
    elif state.basis is None:
        yield "the basis is noted", state._replace(basis=state.seq, position=state.at), True
    elif state.read is None:
        # No older than what the stream had written.
        for value in sorted(set(state.log[max(0, state.position - 1) :])):
            yield f"the key is read as {value}", state._replace(read=value), True
    else:
        yield "the two are compared", _compared(state, rules), True


def _compared(state: State, rules: Rules) -> State:
    assert state.basis is not None
    here = GONE if state.row is None else state.row[0]
    fresh = state._replace(basis=None, read=None, suspect=None, readings=state.readings + 1)
    if here == state.read:
        return fresh._replace(is_done=True)
    sequence = None if state.row is None else state.row[1]
    its = Suspect(sequence, sequence is not None and sequence > state.basis)
    if _is_sure(state, its, rules):
        return fresh._replace(fault="a difference is told of that the stream is about to mend")
    if fresh.readings == READINGS:
        # As moving, which is no difference.
        return fresh._replace(is_done=True)
    return fresh._replace(suspect=its)


def _is_sure(state: State, its: Suspect, rules: Rules) -> bool:
    before = state.suspect
    if before is None:
        return Rule.TWO_READINGS not in rules
    if before.is_fresh and Rule.IS_FRESH in rules:
        return False
    if its.sequence != before.sequence and Rule.UNMOVED in rules:
        return False
    if its.sequence is None and Rule.ABSENT_BY_LOG in rules:
        # All of the log by now is looked through for the key.
        return len(state.log) == state.position
    return True
