"""What the transactions of the destination do to its rows, tombstones and letters."""

from __future__ import annotations

from collections.abc import Mapping

from tests.model.rules import Rule, Rules
from tests.model.world import GONE, REPAIR, A, Reader, Reading, Row, Scope, State, is_writable, put


def content_of(state: State, start: int, end: int, scope: Scope, *, only_a: bool = False) -> dict[int, int]:
    """The last state of each key within part of the log, as the stream brings it."""
    found: dict[int, int] = {}
    for key, value in state.log[start:end]:
        if not only_a or scope.keys[key][0] == A:
            found[key] = value
    if not scope.looks_up:
        return found
    now = {key: value_of_now(state, key) for key in found}
    # A looked-up document that is gone means that a delete follows.
    return {key: now[key] if value else GONE for key, value in found.items() if not value or now[key]}


def value_of_now(state: State, key: int) -> int:
    for its, value in reversed(state.log):
        if its == key:
            return value
    return state.base[key]


def applied(
    state: State, content: Mapping[int, int], scope: Scope, rules: Rules, refused: frozenset[int] = frozenset()
) -> State:
    """A stream commit's rows and deletes; ``refused`` keys become letters."""
    if not content:
        return state
    seq = state.seq + 1
    state = state._replace(seq=seq)
    order = sorted(content, key=lambda key: (content[key] != GONE, key if content[key] else -key))
    # Deletes of children go first, rows of parents before those of their children.
    for key in order:
        state = _one(state, key, content[key], seq, scope, rules, is_refused=key in refused)
    return state


def _one(state: State, key: int, value: int, seq: int, scope: Scope, rules: Rules, *, is_refused: bool) -> State:
    letters = put(state.letters, key, None) if Rule.SUPERSEDE in rules or is_refused else state.letters
    tombs = state.tombs
    row = state.rows[key]
    if value == GONE and state.readings and (Rule.BURY_ALWAYS in rules or row is not None):
        tombs = put(tombs, key, seq)
    waits = not is_writable(state, key, value, scope)
    if waits or is_refused:
        return state._replace(letters=put(letters, key, (value, seq, seq, waits)), tombs=tombs)
    return state._replace(rows=put(state.rows, key, _row(row, value, seq, scope)), letters=letters, tombs=tombs)


def _row(row: Row, value: int, seq: int, scope: Scope) -> Row:
    if value != GONE:
        return value, seq
    return (GONE, seq) if scope.is_soft and row is not None else None


def chunk_written(state: State, its: Reader, value: int, scope: Scope, rules: Rules, *, is_refused: bool) -> State:
    """What a chunk does to its key, by its basis."""
    key, seq = its.key, state.seq + 1
    basis = state.seq if Rule.BASIS_BEFORE_READ not in rules else its.basis
    row, letter = state.rows[key], state.letters[key]
    is_outdated = (row is not None and row[1] > basis and Rule.SKIP_NEWER in rules) or (
        state.tombs[key] > basis and Rule.HEED_TOMBSTONES in rules
    )
    is_newer_letter = letter is not None and letter[1] > basis and letter[2] > basis and Rule.HEED_LETTERS in rules
    if letter is not None and letter[1] <= basis and value != GONE:
        state = state._replace(letters=put(state.letters, key, None))
    state = state._replace(seq=seq)
    is_repair = its.reading >= 0 and state.readings[its.reading].kind == REPAIR
    if value == GONE:
        return _removed(state, its, basis, scope, rules) if is_repair else state
    if is_outdated or is_newer_letter:
        return state
    if is_refused:
        return state._replace(letters=put(state.letters, key, (value, seq, basis, False)))
    return state._replace(rows=put(state.rows, key, (value, seq)))


def _removed(state: State, its: Reader, basis: int, scope: Scope, rules: Rules) -> State:
    """A repair deletes the keys that it read to be absent, unless something newer is there."""
    row, letter = state.rows[its.key], state.letters[its.key]
    tombs = state.tombs
    rows = state.rows
    if Rule.REPAIR_BURIES_NOT not in rules:
        tombs = put(tombs, its.key, state.seq)
    if row is not None and (row[1] <= basis or Rule.REPAIR_SPARES_NEWER not in rules):
        rows = put(rows, its.key, _row(row, GONE, state.seq, scope))
    letters = state.letters
    if letter is not None and letter[1] <= basis:
        letters = put(letters, its.key, None)
    return state._replace(rows=rows, tombs=tombs, letters=letters)


def stale_removed(state: State, reading: Reading, scope: Scope, rules: Rules) -> State:
    """Rows of table A that the reading proves stale go; to remove what the source has is a fault."""
    rows, fault = state.rows, state.fault
    for key, row in enumerate(state.rows):
        if scope.keys[key][0] != A or row is None or row[0] == GONE:
            continue
        if row[1] > reading.first and Rule.SPARE_NEWER in rules:
            continue
        letter = state.letters[key]
        if letter is not None and letter[1] > reading.first and Rule.SPARE_QUARANTINED in rules:
            continue
        start = min(its for its in (state.position, state.place, len(state.log)) if its is not None)
        is_to_come = any(entry[0] == key for entry in state.log[start:])
        if value_of_now(state, key) != GONE and not is_to_come:
            fault = "a row was removed as stale that the source has"
        rows = put(rows, key, _row(row, GONE, state.seq + 1, scope))
    return state._replace(rows=rows, seq=state.seq + 1, fault=fault)


def ended(state: State, index: int | None) -> State:
    """A reading, or all, has ended: whoever reads a slice of it is shut out."""
    if index is None:
        readers = tuple(its._replace(reading=-1, has_claim=False) for its in state.readers)
        return state._replace(readings=(), readers=readers)
    readers = []
    for its in state.readers:
        if its.reading == index:
            its = its._replace(reading=-1, has_claim=False)
        elif its.reading > index:
            its = its._replace(reading=its.reading - 1)
        readers.append(its)
    return state._replace(readings=(*state.readings[:index], *state.readings[index + 1 :]), readers=tuple(readers))
