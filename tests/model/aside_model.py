"""Explores every order in which a stream, a table that was set aside, its catching up, a chunk and crashes can meet.

The world has two keys of one table; the main stream reads one or two entries of the log per cut, the table's own
stream, once it is set aside, one or three, so that it may overtake the main stream. A chunk reads one key of an open
reading. Values only grow, so that a row that goes back to an earlier value shows. At every end the destination must
equal the source.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum

from tests.model.exploring import Outcome, explore_from
from tests.model.snapshot_model import KEYS, NOTHING, Row, Value

CUT_SIZES, OWN_CUT_SIZES = (1, 2), (1, 3)


class Rule(Enum):
    """What the engine promises of tables that are set aside; each one is needed."""

    JOIN_COMPLETE = "a table takes part only from a cut on before which it misses nothing"
    SKIP_PASSED = "a cut that ends before the table's place is not applied to it"
    PLACE_AT_START = "a table is set aside at the start of the cut that it is left out of"
    KEEP_PLACE = "a table that fails as it comes back stays at its own place"
    PLACE_WITH_ROWS = "the table's place is committed with the rows that it caught up with"
    COVER_ANEW = "where its place is gone, it is read again and takes part from the stream's committed place"


ALL_RULES = frozenset(Rule)


@dataclass(frozen=True, slots=True)
class State:
    """The whole world between two steps; ``aside`` is the table's own place, None where it takes part.

    ``kept`` is the place that the destination has of it, which is all that a crash leaves.
    """

    source: tuple[Value, ...] = (1, NOTHING)
    log: tuple[tuple[int, Value], ...] = ()
    position: int = 0
    aside: int | None = None
    kept: int | None = None
    rows: tuple[Row, ...] = ((1, 0), NOTHING)
    tombstones: tuple[int, ...] = (0, 0)
    sequence: int = 1
    next_value: int = 2
    chunk: int = 0
    basis: int | None = None
    has_read: bool = False
    read: Value = NOTHING
    failures: int = 0
    crashes: int = 0
    was_lost: bool = False
    has_chunks: bool = True
    went_back: bool = False

    @property
    def is_end(self) -> bool:
        return self.position == len(self.log) and self.aside is None and self.chunk == len(KEYS)

    @property
    def is_right(self) -> bool:
        return tuple(row[0] if row else NOTHING for row in self.rows) == self.source and not self.went_back


def explore(rules: frozenset[Rule] = ALL_RULES, writes: int = 4, *, chunks: bool = True) -> Outcome:
    """Visit every state that can be reached, nearest first; ``chunks``: a reading is open from the start."""
    start = State(chunk=0 if chunks else len(KEYS), has_chunks=chunks)
    return explore_from(start, lambda state: _steps(state, rules, writes))


def _steps(state: State, rules: frozenset[Rule], writes: int) -> Iterator[tuple[str, State]]:
    if len(state.log) < writes:
        yield from _source_steps(state)
    for size in CUT_SIZES:
        if state.position + size <= len(state.log):
            yield from _main_steps(state, rules, state.position + size)
    if state.aside is not None:
        yield from _catch_up_steps(state, rules)
    if state.chunk < len(KEYS):
        yield from _chunk_steps(state)
    if state.crashes < 1:
        idle = replace(state, basis=None, has_read=False, read=NOTHING, crashes=state.crashes + 1)
        yield "the engine crashes", replace(idle, aside=state.kept)


def _source_steps(state: State) -> Iterator[tuple[str, State]]:
    for key in KEYS:
        value = state.next_value
        changed = replace(state, source=_put(state.source, key, value), log=(*state.log, (key, value)))
        yield f"the source writes {key}", replace(changed, next_value=value + 1)
        if state.source[key] is not NOTHING:
            gone = replace(state, source=_put(state.source, key, NOTHING), log=(*state.log, (key, NOTHING)))
            yield f"the source deletes {key}", gone


def _main_steps(state: State, rules: frozenset[Rule], end: int) -> Iterator[tuple[str, State]]:
    """The main stream commits a cut, with the table or without it."""
    moved = replace(state, position=end)
    if state.aside is None:
        yield f"the stream writes up to {end}", _applied(moved, state.position, end)
        if state.failures < 1:
            place = state.position if Rule.PLACE_AT_START in rules else end
            yield f"the table is left out up to {end}", _at(moved, place, failures=state.failures + 1)
        return
    is_complete = state.aside >= state.position or Rule.JOIN_COMPLETE not in rules
    is_passed = end < state.aside and Rule.SKIP_PASSED in rules
    yield f"the stream passes {end} without the table", moved
    if is_complete and not is_passed:
        joined = replace(moved, aside=None, kept=None)
        yield f"the table joins at the cut up to {end}", _applied(joined, state.position, end)
        if state.failures < 2:
            place = state.aside if Rule.KEEP_PLACE in rules else end
            yield f"the table fails as it joins at {end}", _at(moved, place, failures=state.failures + 1)


def _catch_up_steps(state: State, rules: frozenset[Rule]) -> Iterator[tuple[str, State]]:
    place = state.aside
    assert place is not None
    if place == state.position:
        yield "the table joins where the stream is", replace(state, aside=None, kept=None)
    for size in OWN_CUT_SIZES:
        # It may well pass the main stream: the two read the log apart.
        if place < state.position and place + size <= len(state.log):
            caught_up = _applied(replace(state, aside=place + size), place, place + size)
            kept = place + size
            if Rule.PLACE_WITH_ROWS not in rules:
                # The place is committed first, and a crash comes between the two.
                yield "only the place is committed", replace(state, kept=kept)
            yield f"the table catches up to {kept}", replace(caught_up, kept=kept)
    if not state.was_lost and place < state.position:
        anew = replace(state, was_lost=True, aside=None, kept=None, basis=None, has_read=False, read=NOTHING)
        anew = replace(anew, has_chunks=True)
        if Rule.COVER_ANEW in rules:
            # Keys that no chunk sees go when the reading closes: here at once, since the source has them no more.
            rows = tuple(row if state.source[key] is not NOTHING else None for key, row in enumerate(state.rows))
            anew = replace(anew, rows=rows, chunk=0)
        yield "the table's place is gone", anew


def _chunk_steps(state: State) -> Iterator[tuple[str, State]]:
    key = state.chunk
    if state.basis is None:
        yield f"chunk {key} notes its basis", replace(state, basis=state.sequence)
        return
    if not state.has_read:
        yield f"chunk {key} reads", replace(state, has_read=True, read=state.source[key])
        return
    row, sequence = state.rows[key], state.sequence + 1
    is_newer = row is not None and row[1] > state.basis
    is_outdated = is_newer or state.tombstones[key] > state.basis or state.read is NOTHING
    rows = state.rows if is_outdated else _put(state.rows, key, (state.read, sequence))
    done = replace(state, rows=rows, sequence=sequence, chunk=key + 1, basis=None, has_read=False, read=NOTHING)
    yield f"chunk {key} commits", done


def _at(state: State, place: int, *, failures: int) -> State:
    """The table is set aside at a place; what it then needs not catch up with is not asked of it."""
    return replace(state, aside=place, kept=place, failures=failures)


def _applied(state: State, start: int, end: int) -> State:
    """The last state of each key within part of the log, written by one commit."""
    sequence = state.sequence + 1
    rows, tombstones, went_back = state.rows, state.tombstones, state.went_back
    for key, value in dict(state.log[start:end]).items():
        row = rows[key]
        # A chunk may be ahead of the log, which then passes through older values until it is where that was read.
        is_older = value is not NOTHING and row is not None and row[0] > value
        went_back = went_back or (is_older and not state.has_chunks)
        rows = _put(rows, key, None if value is NOTHING else (value, sequence))
        if value is NOTHING:
            tombstones = _put(tombstones, key, sequence)
    return replace(state, rows=rows, tombstones=tombstones, sequence=sequence, went_back=went_back)


def _put(values: tuple, key: int, value: object) -> tuple:  # type: ignore[type-arg]
    return (*values[:key], value, *values[key + 1 :])
