"""Explores every order in which two processes can be at one batch table: ticks, windows and a resync.

The source stamps each change with its clock. A tick reads what is stamped since the marker, in two batches, one of
them ahead; a window, or a repair, writes one key and leaves the marker; a resync reads in chunks within a reading. At
any time a row may differ from the source only where the next tick looks: at or after the marker.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple, TypeAlias

from tests.model.exploring import Outcome, Step, explore

KEYS = (0, 1)
TICK, WINDOW, RESYNC = "a tick", "a window", "a resync"

Copy: TypeAlias = tuple[int, int]
"""Value and stamp of a row as it was read."""


class Rule(Enum):
    """What the engine promises of a batch table; each one is needed."""

    CLAIM = "a batch commits only while nobody else has claimed the table"
    CLAIM_BEFORE_READ = "the table is claimed before anything is read"
    LEASE = "nobody claims a table whose lease another process holds"
    MARKER_LAST = "the marker moves with the last batch of a tick"
    MARKER_CAPPED = "no marker passes the source's clock at the start of the reading"
    CEILING_OF_READING = "a resync's marker passes no clock but the one at its opening, whoever finishes it"
    CHUNK_SKIPS_NEWER = "a chunk leaves rows alone that were written after its basis"
    ONLY_A_TICK_MOVES = "a window, and a repair, leave the marker where it is"


Rules: TypeAlias = frozenset[Rule]
ALL_RULES: Rules = frozenset(Rule)


class Process(NamedTuple):
    """``started``: the source's clock then. ``read``: copies by key in hand. ``left``: keys it has yet to read."""

    kind: str = ""
    has_lease: bool = False
    has_claim: bool = False
    started: int = 0
    read: tuple[tuple[int, Copy], ...] = ()
    left: tuple[int, ...] = ()
    highest: int = 0
    basis: int = 0


class State(NamedTuple):
    """``source`` and ``rows``: value and stamp, and value and sequence, by key."""

    source: tuple[Copy, ...] = ((1, 0), (1, 0))
    rows: tuple[tuple[int, int], ...] = ((1, 0), (1, 0))
    clock: int = 1
    marker: int = 0
    seq: int = 1
    processes: tuple[Process, ...] = (Process(), Process())
    opened: tuple[int, tuple[bool, ...], int] | None = None
    writes: int = 2
    lapses: int = 1
    resyncs: int = 1
    fault: str = ""

    @property
    def is_end(self) -> bool:
        return not any(its.kind for its in self.processes)


def explored(
    rules: Rules = ALL_RULES, kinds: tuple[str, ...] = (TICK, WINDOW), writes: int = 2, lapses: int = 1
) -> Outcome:
    """All that two processes can do to a table whose source changes a few times."""
    start = State(writes=writes, lapses=lapses)

    def steps(state: State) -> Iterator[Step[State]]:
        for text, after, is_help in _steps(state, rules, kinds):
            yield text, _judged(_settled(after, rules)), is_help

    return explore(start, steps)


def _steps(state: State, rules: Rules, kinds: tuple[str, ...]) -> Iterator[Step[State]]:
    if state.writes:
        for key in KEYS:
            for clock in (state.clock, state.clock + 1):
                new = (1 + max(state.source[key][0], state.rows[key][0], *_held(state, key)), clock)
                source = (*state.source[:key], new, *state.source[key + 1 :])
                text = f"the source writes key {key}" + (" after its clock moved" if clock > state.clock else "")
                yield text, state._replace(source=source, writes=state.writes - 1, clock=clock), False
    for number, its in enumerate(state.processes):
        if not its.kind:
            for kind in kinds:
                yield from _begin(state, number, kind, rules)
        else:
            who = f"{its.kind} with its lease" if its.has_lease else f"{its.kind} that was paused"
            yield f"{who} is killed", _with(state, number, Process()), True
            yield from _go_on(state, number, its, who, rules)


def _held(state: State, key: int) -> Iterator[int]:
    for its in state.processes:
        for read, copy in its.read:
            if read == key:
                yield copy[0]


def _begin(state: State, number: int, kind: str, rules: Rules) -> Iterator[Step[State]]:
    """The lease, then the claim, which gives the marker."""
    other = state.processes[1 - number]
    text, is_help = f"{kind} begins", True
    if kind == RESYNC and state.opened is None and not state.resyncs:
        return
    if other.has_lease and Rule.LEASE in rules:
        if not state.lapses:
            return
        state = _with(state._replace(lapses=state.lapses - 1), 1 - number, other._replace(has_lease=False))
        text, is_help = f"the lease lapses, and {text}", False
    elif other.has_lease:
        state = state._replace(fault="a process was shut out although its lease held")
    other = state.processes[1 - number]
    # A chunk goes by the claim of its slice, which a tick leaves alone.
    if (Rule.CLAIM_BEFORE_READ in rules or kind == RESYNC) and (other.kind != RESYNC or kind == RESYNC):
        state = _with(state, 1 - number, other._replace(has_claim=False))
    left: tuple[int, ...] = KEYS
    if kind == RESYNC:
        if state.opened is None:
            state = state._replace(opened=(state.clock, (False,) * len(KEYS), 0), resyncs=state.resyncs - 1)
        assert state.opened is not None
        left = tuple(key for key in KEYS if not state.opened[1][key])
    elif kind == TICK:
        left = tuple(key for key in KEYS if state.source[key][1] >= state.marker)
    else:
        left = KEYS[:1]
    began = Process(kind, True, True, state.clock, left=left, highest=state.marker)
    yield text, _with(state, number, began), is_help


def _go_on(state: State, number: int, its: Process, who: str, rules: Rules) -> Iterator[Step[State]]:
    if its.kind == RESYNC:
        yield from _resync(state, number, its, who, rules)
        return
    # One batch is read ahead, to know which is the last.
    if its.left and len(its.read) < 2:
        key, *rest = its.left
        read = (*its.read, (key, state.source[key]))
        yield f"{who} reads key {key}", _with(state, number, its._replace(read=read, left=tuple(rest))), True
    if its.read and (len(its.read) == 2 or not its.left):
        yield from _write(state, number, its, who, rules)
    if not its.read and not its.left:
        yield f"{who} is done", _with(state, number, Process()), True


def _write(state: State, number: int, its: Process, who: str, rules: Rules) -> Iterator[Step[State]]:
    if Rule.CLAIM_BEFORE_READ not in rules and not its.has_claim:
        # It would claim only now, and find itself the last to have done so.
        its = its._replace(has_claim=True)
    if not its.has_claim and Rule.CLAIM in rules:
        yield f"{who} is refused", _with(state, number, Process()), True
        return
    (key, copy), *rest = its.read
    rows, seq = state.rows, state.seq
    if rows[key][0] != copy[0]:
        seq += 1
        rows = (*rows[:key], (copy[0], seq), *rows[key + 1 :])
    highest = max(its.highest, copy[1])
    if Rule.MARKER_CAPPED in rules:
        highest = min(highest, max(its.started, its.highest))
    is_last = not rest and not its.left
    moves = its.kind == TICK or Rule.ONLY_A_TICK_MOVES not in rules
    marker = highest if moves and (is_last or Rule.MARKER_LAST not in rules) else state.marker
    after = state._replace(rows=rows, seq=seq, marker=marker)
    yield f"{who} writes key {key}", _with(after, number, its._replace(read=tuple(rest), highest=highest)), True


def _resync(state: State, number: int, its: Process, who: str, rules: Rules) -> Iterator[Step[State]]:
    if state.opened is None:
        yield f"{who} finds its reading closed", _with(state, number, Process()), True
        return
    ceiling, done, high = state.opened
    if its.read:
        (key, copy), *_ = its.read
        if not its.has_claim:
            yield f"{who} is refused", _with(state, number, Process()), True
            return
        seq, rows = state.seq + 1, state.rows
        if rows[key][1] <= its.basis or Rule.CHUNK_SKIPS_NEWER not in rules:
            rows = (*rows[:key], (copy[0], seq), *rows[key + 1 :])
        limit = ceiling if Rule.CEILING_OF_READING in rules else state.clock
        opened = (ceiling, (*done[:key], True, *done[key + 1 :]), max(high, min(copy[1], limit)))
        after = state._replace(rows=rows, seq=seq, opened=opened)
        yield f"{who} writes the chunk of key {key}", _with(after, number, its._replace(read=(), basis=0)), True
    elif its.left:
        key, *rest = its.left
        read = its._replace(read=((key, state.source[key]),), left=tuple(rest), basis=state.seq)
        yield f"{who} reads the chunk of key {key}", _with(state, number, read), True
    elif all(done):
        closed = state._replace(opened=None, marker=high)
        yield f"{who} closes the reading", _with(closed, number, Process()), True
    else:
        yield f"{who} is done", _with(state, number, Process()), True


def _with(state: State, number: int, its: Process) -> State:
    processes = (*state.processes[:number], its, *state.processes[number + 1 :])
    return state._replace(processes=processes)


def _judged(state: State) -> State:
    """What differs is found by the next tick: it is stamped at or after the marker."""
    if state.fault:
        return state
    for key in KEYS:
        value, stamp = state.source[key]
        if state.rows[key][0] != value and stamp < state.marker:
            return state._replace(fault="a row differs from the source, and no tick looks there again")
    return state


def _settled(state: State, rules: Rules) -> State:
    """Of values, sequences and times only the order counts; which process is which does not."""
    if Rule.CLAIM in rules:
        state = state._replace(processes=tuple(Process() if _is_shut_out(its) else its for its in state.processes))
    numbers = sorted({0, state.seq, *(row[1] for row in state.rows), *(its.basis for its in state.processes)})
    rank = {number: index for index, number in enumerate(numbers)}
    names, at = [], _times(state)
    for key in KEYS:
        values = sorted({state.source[key][0], state.rows[key][0], *_held(state, key)})
        names.append({value: index for index, value in enumerate(values)})
    processes = tuple(
        its._replace(
            basis=rank[its.basis],
            read=tuple((key, (names[key][value], at[stamp])) for key, (value, stamp) in its.read),
            started=at[its.started],
            highest=at[its.highest],
        )
        for its in state.processes
    )
    opened = state.opened
    return state._replace(
        source=tuple((names[key][value], at[stamp]) for key, (value, stamp) in enumerate(state.source)),
        rows=tuple((names[key][value], rank[seq]) for key, (value, seq) in enumerate(state.rows)),
        seq=rank[state.seq],
        clock=at[state.clock],
        marker=at[state.marker],
        processes=tuple(sorted(processes)),
        opened=opened and (at[opened[0]], opened[1], at[opened[2]]),
    )


def _is_shut_out(its: Process) -> bool:
    """Whether all that it can still do is to be refused; a resync may close its reading all the same."""
    return bool(its.kind) and not its.has_claim and (its.kind != RESYNC or bool(its.read))


def _times(state: State) -> dict[int, int]:
    found = {0, state.clock, state.marker, *(stamp for _, stamp in state.source)}
    for its in state.processes:
        found.update((its.started, its.highest), (copy[1] for _, copy in its.read))
    if state.opened is not None:
        found.update((state.opened[0], state.opened[2]))
    return {time: index for index, time in enumerate(sorted(found))}
