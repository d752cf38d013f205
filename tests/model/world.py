"""The whole world of a stream between two steps: source, destination, markers and processes, as small tuples.

Table A is set aside, read in slices and dismissed; table B, where a scope has keys of it, only takes part in the cuts.
Of numbers only their order counts (values of a key, sequences) or their distance from the oldest position that
anyone may still read from, so that equal situations are one state.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

GONE = 0
"""The value of a key that the source does not have."""
A, B = 0, 1
OFF, LEASED, ASKED, STARTING, TAKEN, RUNNING, ADMITTED, LOST, REOPENING = range(9)
"""What a writer is at."""
LOAD, RESYNC, REPAIR = range(3)
"""What a reading is for."""

Row: TypeAlias = tuple[int, int] | None
"""Value and sequence of a row; a flagged row has the value ``GONE``."""
Letter: TypeAlias = tuple[int, int, int, bool] | None
"""Value (``GONE``: a delete), sequence, basis, and whether it waits for another row."""
Entry: TypeAlias = tuple[int, int]
"""Key and value of one change in the log."""


class Writer(NamedTuple):
    """A process that streams. ``epoch`` and ``sequence``: whether its fence still has the row's.

    ``at`` is where its stream is, ``place`` where table A is for it, ``held`` a cut that is read and not written.
    """

    phase: int = OFF
    has_lease: bool = False
    epoch: bool = False
    sequence: bool = False
    at: int = 0
    place: int | None = None
    is_ready: bool = False
    held: tuple[int, tuple[Entry, ...]] | None = None


class Reader(NamedTuple):
    """A process with a chunk in hand. ``reading``: its index, -1 once that has ended."""

    reading: int
    slice: int
    has_claim: bool
    key: int
    basis: int
    not_before: int


class Reading(NamedTuple):
    """An open generation. ``done``: its keys that were read. ``stage``: how far its closing has come."""

    kind: int
    first: int
    done: tuple[bool, ...]
    stage: int = 0


class Left(NamedTuple):
    """How often the world may still do what is not in the protocol's hands."""

    writes: int = 0
    crashes: int = 0
    lapses: int = 0
    failures: int = 0
    refusals: int = 0
    losses: int = 0
    moves: int = 0
    resyncs: int = 0
    repairs: int = 0
    repeats: int = 0
    rests: int = 0
    races: int = 0


class State(NamedTuple):
    """``base`` is the source at position 0 and ``log`` what followed; entries before ``gone`` cannot be read."""

    base: tuple[int, ...]
    rows: tuple[Row, ...]
    writers: tuple[Writer, ...]
    left: Left
    log: tuple[Entry, ...] = ()
    gone: int = 0
    position: int | None = 0
    tombs: tuple[int, ...] = ()
    letters: tuple[Letter, ...] = ()
    seq: int = 1
    place: int | None = None
    is_listed: bool = True
    is_covered: bool = True
    is_loaded: bool = True
    readings: tuple[Reading, ...] = ()
    readers: tuple[Reader, ...] = ()
    replay: tuple[int, Letter] | None = None
    repeat: tuple[int, int] | None = None
    fault: str = ""
    is_end: bool = False


@dataclass(frozen=True, slots=True)
class Scope:
    """A small world to explore whole. ``keys``: the table and slice of each.

    ``is_split``: a cut is read and written in two steps. ``looks_up``: an update brings the document as it is when
    its event is read. ``is_linked``: the key of table B refers to the first of table A.
    """

    name: str
    left: Left
    keys: tuple[tuple[int, int], ...] = ((A, 0), (A, 1))
    source: tuple[int, ...] = (1, GONE)
    rows: tuple[Row, ...] = ((1, 0), None)
    sizes: tuple[int, ...] = (1,)
    own_sizes: tuple[int, ...] = (1,)
    written: tuple[int, ...] | None = None
    writer_count: int = 1
    reader_count: int = 0
    is_new: bool = False
    is_reading: bool = False
    is_split: bool = False
    looks_up: bool = False
    is_soft: bool = False
    is_linked: bool = False
    may_be_dismissed: bool = False
    start: State = field(init=False)

    def __post_init__(self) -> None:
        count = len(self.keys)
        running = Writer(RUNNING, True, True, True)
        writers = (Writer(),) * self.writer_count if self.is_new else (Writer(),) * (self.writer_count - 1) + (running,)
        readings = (Reading(LOAD, 1, self.unread),) if self.is_reading else ()
        start = State(
            base=self.source,
            rows=self.rows,
            writers=writers,
            left=self.left,
            position=None if self.is_new else 0,
            tombs=(0,) * count,
            letters=(None,) * count,
            is_covered=not self.is_new,
            is_loaded=not (self.is_new or self.is_reading),
            readings=readings,
        )
        object.__setattr__(self, "start", start)

    @property
    def unread(self) -> tuple[bool, ...]:
        """Of the keys of table A, none is read; those of others need not be."""
        return tuple(table != A for table, _ in self.keys)


def value_at(state: State, key: int, position: int) -> int:
    """What the source had of a key at a position."""
    for number in range(position - 1, -1, -1):
        if state.log[number][0] == key:
            return state.log[number][1]
    return state.base[key]


def value_now(state: State, key: int) -> int:
    return value_at(state, key, len(state.log))


def has_table(state: State, scope: Scope) -> bool:
    """Whether the source has table A, as far as the world remembers."""
    if not scope.is_new:
        return True
    is_its = [table == A for table, _ in scope.keys]
    return any(value for its, value in zip(is_its, state.base, strict=True) if its) or any(
        is_its[key] for key, _ in state.log
    )


def put(values: tuple, index: int, value: object) -> tuple:  # type: ignore[type-arg]
    return (*values[:index], value, *values[index + 1 :])


UNSETTLED = "a letter is pending although the row of its key is newer"
WRONG = "everything has come to its end, and the destination is not as the source"


def settled(state: State, scope: Scope, *, keeps_log: bool = False) -> State:
    """The one state that stands for all that differ from this one in nothing that counts."""
    shift = 0 if keeps_log else _oldest(state)
    log = state.log
    base = state.base
    if shift:
        base = tuple(value_at(state, key, shift) for key in range(len(base)))
        log = log[shift:]
    ranks = _ranks(state)
    names = _names(state, base, log)
    if shift or len(state.writers) > 1 or len(ranks) <= max(ranks) or any(len(its) <= max(its) for its in names):
        state = _renumbered(state, base, log, shift, ranks, names)
    elif not state.readings and any(state.tombs):
        state = state._replace(tombs=(0,) * len(base))
    if state.fault:
        return state
    for row, letter in zip(state.rows, state.letters, strict=True):
        if letter is not None and row is not None and row[1] > letter[1]:
            return state._replace(fault=UNSETTLED)
    if not _is_end(state, scope):
        return state._replace(is_end=False) if state.is_end else state
    return state._replace(is_end=True, fault="" if _is_right(state, scope) else WRONG)


def _renumbered(
    state: State,
    base: tuple[int, ...],
    log: tuple[Entry, ...],
    shift: int,
    ranks: dict[int, int],
    names: list[dict[int, int]],
) -> State:
    return state._replace(
        base=tuple(names[key][value] for key, value in enumerate(base)),
        log=tuple((key, names[key][value]) for key, value in log),
        rows=tuple(None if row is None else (names[key][row[0]], ranks[row[1]]) for key, row in enumerate(state.rows)),
        letters=tuple(
            None if its is None else (names[key][its[0]], ranks[its[1]], ranks[its[2]], its[3])
            for key, its in enumerate(state.letters)
        ),
        tombs=tuple(ranks[tomb] for tomb in state.tombs) if state.readings else (0,) * len(base),
        seq=ranks[state.seq],
        gone=max(0, state.gone - shift),
        position=None if state.position is None else state.position - shift,
        place=None if state.place is None else state.place - shift,
        writers=_writers(state, shift, names),
        readings=tuple(its._replace(first=ranks[its.first]) for its in state.readings),
        readers=tuple(
            sorted(its._replace(basis=ranks[its.basis], not_before=its.not_before - shift) for its in state.readers)
        ),
        replay=_replay(state, ranks, names),
        repeat=None if state.repeat is None else (state.repeat[0] - shift, state.repeat[1] - shift),
    )


def _oldest(state: State) -> int:
    oldest = len(state.log) if state.position is None else state.position
    if state.place is not None and state.place < oldest:
        oldest = state.place
    for writer in state.writers:
        if writer.phase != OFF:
            oldest = min(oldest, writer.at)
            if writer.place is not None:
                oldest = min(oldest, writer.place)
    for reader in state.readers:
        oldest = min(oldest, reader.not_before)
    if state.repeat is not None:
        oldest = min(oldest, state.repeat[0])
    return oldest


def _ranks(state: State) -> dict[int, int]:
    found = {0, state.seq, *state.tombs}
    found.update(row[1] for row in state.rows if row is not None)
    for letter in state.letters:
        if letter is not None:
            found.update(letter[1:3])
    found.update(reading.first for reading in state.readings)
    found.update(reader.basis for reader in state.readers)
    if state.replay is not None and state.replay[1] is not None:
        found.update(state.replay[1][1:3])
    return {number: rank for rank, number in enumerate(sorted(found))}


def _names(state: State, base: tuple[int, ...], log: tuple[Entry, ...]) -> list[dict[int, int]]:
    found: list[set[int]] = [{GONE, value} for value in base]
    for key, value in log:
        found[key].add(value)
    for key, row in enumerate(state.rows):
        if row is not None:
            found[key].add(row[0])
    for key, letter in enumerate(state.letters):
        if letter is not None:
            found[key].add(letter[0])
    if state.replay is not None and state.replay[1] is not None:
        found[state.replay[0]].add(state.replay[1][0])
    for writer in state.writers:
        for key, value in writer.held[1] if writer.held else ():
            found[key].add(value)
    return [{value: name for name, value in enumerate(sorted(values))} for values in found]


def _writers(state: State, shift: int, names: list[dict[int, int]]) -> tuple[Writer, ...]:
    if len(state.writers) == 1:
        return (_moved(state.writers[0], shift, names),)
    # Which of two is which does not matter.
    return tuple(sorted((_moved(its, shift, names) for its in state.writers), key=repr))


def _moved(writer: Writer, shift: int, names: list[dict[int, int]]) -> Writer:
    if writer.phase == OFF:
        return Writer(has_lease=writer.has_lease)
    held = writer.held
    return writer._replace(
        at=writer.at - shift,
        place=None if writer.place is None else writer.place - shift,
        held=held and (held[0] - shift, tuple((key, names[key][value]) for key, value in held[1])),
    )


def _replay(state: State, ranks: dict[int, int], names: list[dict[int, int]]) -> tuple[int, Letter] | None:
    if state.replay is None or state.replay[1] is None:
        return None
    key, (value, sequence, basis, waits) = state.replay
    return key, (names[key][value], ranks[sequence], ranks[basis], waits)


def _is_right(state: State, scope: Scope) -> bool:
    """Every row is as in the source, or its letter, which cannot be replayed yet, has what the source has."""
    for key, row in enumerate(state.rows):
        letter = state.letters[key]
        here = letter[0] if letter is not None else (row[0] if row is not None else GONE)
        if here != value_now(state, key) and (state.is_listed or scope.keys[key][0] != A):
            return False
    return True


def is_writable(state: State, key: int, value: int, scope: Scope) -> bool:
    """Whether the foreign key of table B allows a value: its parent is there, or no child is."""
    if not scope.is_linked or key > 1:
        return True
    other = state.rows[1 - key]
    has_other = other is not None and other[0] != GONE
    return has_other or value == GONE if key == 1 else not has_other or value != GONE


def _is_end(state: State, scope: Scope) -> bool:
    """Everything is written, nothing is under way, and nobody waits for anything that may come."""
    if any(its is not None and is_writable(state, key, its[0], scope) for key, its in enumerate(state.letters)):
        return False
    return (
        state.position == len(state.log)
        and state.place is None
        and (state.is_covered == state.is_listed or not (state.is_covered or has_table(state, scope)))
        and (state.is_loaded or not state.is_covered)
        and not state.readings
        and not state.readers
        and state.replay is None
        and not any(its.held for its in state.writers)
    )
