"""Explores every order in which a stream, a snapshot, a source and crashes can meet, in a small world.

The world has two keys, each a slice of one chunk. Key ``a`` is in the source and the destination; key
``b`` is a ghost, a row that the source lost unseen, so that no delete will ever come for it.
At every end (the log drained, the generation closed, pending letters replayed) the destination must equal the source.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import TypeAlias

from tests.model.exploring import Outcome, explore_from

KEYS = (0, 1)
NOTHING = None
Value: TypeAlias = int | None
Row: TypeAlias = tuple[int, int] | None  # value and the sequence of the commit that wrote it


class Rule(Enum):
    """What the engine promises; each one is needed."""

    SKIP_NEWER = "a chunk leaves rows alone that were written after its basis"
    HEED_TOMBSTONES = "a chunk leaves keys alone that were deleted after its basis"
    HEED_LETTERS = "a chunk leaves keys alone that were quarantined whole after its basis"
    BASIS_BEFORE_READ = "the basis is noted before the chunk is read"
    REMOVE_STALE = "rows that no chunk saw are removed when the generation closes"
    READ_UP_TO_DATE = "a chunk reads nothing older than what the stream has committed"
    RESTART_WHEN_LOST = "after lost history all slices are read again"


ALL_RULES = frozenset(Rule)


class Trouble(Enum):
    """What the world may do beyond writes and crashes."""

    LOOKUP = auto()  # an update's event carries the document as it is when the event is read
    QUARANTINE = auto()  # once, the stream cannot write a row, which becomes a dead letter
    LOST_HISTORY = auto()  # once, the log's tail is gone and the stream starts anew at its end


@dataclass(frozen=True, slots=True)
class State:
    """The whole world between two steps. Tuples are indexed by key."""

    source: tuple[Value, ...] = (1, NOTHING)
    source_before: tuple[Value, ...] = (1, NOTHING)
    log: tuple[tuple[int, Value], ...] = ()
    position: int = 0
    rows: tuple[Row, ...] = ((1, 0), (9, 0))
    tombstones: tuple[int, ...] = (0, 0)
    letters: tuple[Row, ...] = (None, None)
    sequence: int = 1
    next_value: int = 2
    chunk: int = 0
    is_closed: bool = False
    first_sequence: int | None = None
    basis: int | None = None
    has_read: bool = False
    read: Value = NOTHING
    was_lost: bool = False
    was_refused: bool = False

    @property
    def is_end(self) -> bool:
        return self.is_closed and self.position == len(self.log)

    @property
    def is_right(self) -> bool:
        rows = [_replayed(row, letter) for row, letter in zip(self.rows, self.letters, strict=True)]
        return tuple(row[0] if row else NOTHING for row in rows) == self.source


def explore(rules: frozenset[Rule] = ALL_RULES, troubles: frozenset[Trouble] = frozenset(), writes: int = 4) -> Outcome:
    """Visit every state that can be reached, nearest first."""
    return explore_from(State(), lambda state: _steps(state, rules, troubles, writes))


def _steps(
    state: State, rules: frozenset[Rule], troubles: frozenset[Trouble], writes: int
) -> Iterator[tuple[str, State]]:
    if len(state.log) < writes:
        yield from _source_steps(state)
    if state.position < len(state.log):
        yield from _stream_steps(state, rules, troubles)
    if state.chunk < len(KEYS):
        yield from _chunk_steps(state, rules)
    elif not state.is_closed:
        yield "the generation closes", _closed(state, rules)


def _source_steps(state: State) -> Iterator[tuple[str, State]]:
    for key in KEYS:
        value = state.next_value
        yield f"the source writes {key}", replace(_changed(state, key, value), next_value=value + 1)
        if state.source[key] is not NOTHING:
            yield f"the source deletes {key}", _changed(state, key, NOTHING)


def _changed(state: State, key: int, value: Value) -> State:
    log = (*state.log, (key, value))
    return replace(state, source=_put(state.source, key, value), source_before=state.source, log=log)


def _stream_steps(state: State, rules: frozenset[Rule], troubles: frozenset[Trouble]) -> Iterator[tuple[str, State]]:
    key, value = state.log[state.position]
    if value is not NOTHING and Trouble.LOOKUP in troubles:
        value = state.source[key]
    sequence = state.sequence + 1
    settled = _put(state.letters, key, None)
    after = replace(state, position=state.position + 1, sequence=sequence, letters=settled)
    if value is NOTHING:
        tombstones = _put(state.tombstones, key, sequence)
        yield f"the stream deletes {key}", replace(after, rows=_put(state.rows, key, None), tombstones=tombstones)
    else:
        yield f"the stream writes {key}", replace(after, rows=_put(state.rows, key, (value, sequence)))
        if Trouble.QUARANTINE in troubles and not state.was_refused:
            letters = _put(state.letters, key, (value, sequence))
            yield f"the stream quarantines {key}", replace(after, letters=letters, was_refused=True)
    if Trouble.LOST_HISTORY in troubles and not state.was_lost:
        fresh = replace(state, position=len(state.log), was_lost=True, basis=None, has_read=False, read=NOTHING)
        if Rule.RESTART_WHEN_LOST in rules:
            fresh = replace(fresh, chunk=0, is_closed=False, first_sequence=None)
        yield "history is lost", fresh


def _chunk_steps(state: State, rules: frozenset[Rule]) -> Iterator[tuple[str, State]]:
    key = state.chunk
    first = state.sequence if state.first_sequence is None else state.first_sequence
    is_late = Rule.BASIS_BEFORE_READ not in rules
    if not state.has_read:
        if state.basis is None and not is_late:
            yield f"chunk {key} notes its basis", replace(state, basis=state.sequence, first_sequence=first)
            return
        seen = {state.source[key]}
        if Rule.READ_UP_TO_DATE not in rules:
            seen.add(state.source_before[key])
        for value in sorted(seen, key=str):
            yield f"chunk {key} reads", replace(state, has_read=True, read=value, first_sequence=first)
        return
    idle = replace(state, basis=None, has_read=False, read=NOTHING)
    yield f"chunk {key} crashes", idle
    basis = state.sequence if state.basis is None else state.basis
    rows = _merged(state, key, basis, rules)
    letter = state.letters[key]
    is_settled = letter is not None and letter[1] <= basis and state.read is not NOTHING
    letters = _put(state.letters, key, None) if is_settled else state.letters
    yield f"chunk {key} commits", replace(idle, rows=rows, letters=letters, sequence=state.sequence + 1, chunk=key + 1)


def _merged(state: State, key: int, basis: int, rules: frozenset[Rule]) -> tuple[Row, ...]:
    row = state.rows[key]
    is_newer = row is not None and row[1] > basis and Rule.SKIP_NEWER in rules
    is_buried = state.tombstones[key] > basis and Rule.HEED_TOMBSTONES in rules
    letter = state.letters[key]
    is_set_aside = letter is not None and letter[1] > basis and Rule.HEED_LETTERS in rules
    if state.read is NOTHING or is_newer or is_buried or is_set_aside:
        return state.rows
    return _put(state.rows, key, (state.read, state.sequence + 1))


def _closed(state: State, rules: frozenset[Rule]) -> State:
    rows = state.rows
    first = state.first_sequence
    if Rule.REMOVE_STALE in rules and first is not None:
        seen = [letter is not None and letter[1] > first for letter in state.letters]
        is_stale = [row is not None and row[1] <= first for row in rows]
        rows = tuple(None if stale and not kept else row for row, stale, kept in zip(rows, is_stale, seen, strict=True))
    return replace(state, rows=rows, sequence=state.sequence + 1, is_closed=True)


def _replayed(row: Row, letter: Row) -> Row:
    """What a replay makes of a row: never over a newer one."""
    return row if letter is None or (row is not None and row[1] > letter[1]) else letter


def _put(values: tuple, key: int, value: object) -> tuple:  # type: ignore[type-arg]
    return (*values[:key], value, *values[key + 1 :])
