"""Places in a source, the markers that make them durable, and the fences that guard a commit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeAlias

from warp_resources.model.replays import ReplayedKey
from warp_resources.model.tables import TableId

Position: TypeAlias = dict[str, object]
"""A place in a source's log or marker column: JSON, opaque to all but the source that made it."""


def slice_name(ordinal: int) -> str:
    """The name of a slice in a table's plan, and of the partition of that number."""
    return f"slice-{ordinal:02d}"


@dataclass(frozen=True, slots=True)
class Aside:
    """A table that its schema's stream goes on without; ``position`` is where the table is, ``reason`` why."""

    table: TableId
    position: Position
    reason: str


@dataclass(frozen=True, slots=True)
class StreamCommit:
    """Moves a schema's stream row to ``position``.

    Holds only where the row still has this ``epoch`` and ``sequence``; else ``FencedOut``.
    ``aside``: tables that are from now on, or still, set aside, each at a position of its own.
    ``rejoined``: tables that were set aside and take part again. ``lock_wait``: how long a lock that somebody holds on
    one of the tables is waited for, since all of them wait while it is. ``work_time``: how long the server
    may be at one statement for one table, for the same reason. None leaves either to the destination.
    """

    schema: str
    epoch: int
    sequence: int
    position: Position
    aside: tuple[Aside, ...] = ()
    rejoined: tuple[TableId, ...] = ()
    lock_wait: timedelta | None = None
    work_time: timedelta | None = None

    def place(self, table: TableId) -> Position:
        """Where a table is with this commit."""
        return next((its.position for its in self.aside if its.table == table), self.position)


@dataclass(frozen=True, slots=True)
class ChunkCommit:
    """Moves one slice of a generation to ``resume`` (None: not begun) or closes it.

    ``basis`` is the table's sequence noted before the chunk was read: rows and tombstones with a
    later one are newer than the chunk. ``high`` is the largest marker value seen in the slice.
    Holds only where the slice's marker row still has ``epoch``. A repair is a chunk too: it may bring deletes, which
    spare rows that are newer than ``basis``; ``cause`` is what ``deletion_log`` says of them. ``holds_stream``: the
    stream of the schema waits for this commit, so that a lock on the table is the table's own trouble.
    ``row_count`` rows were read since the slice's chunk before, which took ``seconds``: its progress is told by them.
    """

    table: TableId
    generation: str
    slice: str
    epoch: int
    basis: int
    resume: str | None
    is_done: bool
    high: Position | None = None
    cause: str = "verify"
    holds_stream: bool = False
    row_count: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class BatchCommit:
    """Writes rows of a batch table and, unless ``position`` is None, moves its marker.

    Rows that already have these very values are left as they are (their sequence too).
    Holds only where the table's row still has ``epoch``. ``counted_as`` is the mode of its run in ``sync_runs``:
    ``batch`` for what is new, ``window`` for a part of the table, ``verify`` for a repair. ``cause``: why its deletes
    go, as ``deletion_log`` has it.
    """

    table: TableId
    epoch: int
    position: Position | None
    counted_as: str = "batch"
    cause: str = "source"


@dataclass(frozen=True, slots=True)
class ReplayCommit:
    """Writes the records of dead letters again, by key text, where these are still pending, and settles the letters.

    ``failed``: letters that cannot even be tried, each with the reason why. No marker moves.
    """

    table: TableId
    keys: Mapping[str, ReplayedKey]
    failed: Mapping[int, str]


Commit: TypeAlias = StreamCommit | ChunkCommit | BatchCommit | ReplayCommit


@dataclass(frozen=True, slots=True)
class StreamState:
    """A schema's stream row: where it is, its commit number and the epoch of its writer."""

    position: Position
    sequence: int
    epoch: int
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class TableState:
    """A table's row in ``sync_markers``.

    ``covered_from``: the stream has been complete for this table since that position (stream mode).
    ``is_loaded``: a first load has been completed since then. ``position``: the batch marker.
    ``aside_position``: where the table stopped taking part in its stream, None where it takes part; a new table
    that its contract does not admit has one, and is not covered.
    """

    table: TableId
    mode: str
    sequence: int
    epoch: int
    schema_version: int
    is_loaded: bool
    covered_from: Position | None = None
    position: Position | None = None
    updated_at: datetime | None = None
    aside_position: Position | None = None
    aside_reason: str | None = None
    aside_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class KeyRange:
    """A half-open range of keys in the source's own order; None is open. Bounds are source text."""

    lower: str | None = None
    upper: str | None = None


@dataclass(frozen=True, slots=True)
class SliceState:
    """One slice of a generation: its key range, and how far its reading has come.

    ``row_count`` rows of it were read and committed, by whomever, which took them ``seconds``.
    """

    generation: str
    name: str
    range: KeyRange
    resume: str | None
    is_done: bool
    high: Position | None = None
    row_count: int = 0
    seconds: float = 0.0

    def moved(self, commit: ChunkCommit) -> SliceState:
        """The slice once a chunk is committed, where it is one of this slice."""
        if self.name != commit.slice:
            return self
        return replace(
            self,
            resume=commit.resume,
            is_done=commit.is_done,
            high=commit.high,
            row_count=self.row_count + commit.row_count,
            seconds=self.seconds + commit.seconds,
        )


@dataclass(frozen=True, slots=True)
class GenerationState:
    """A reading of a whole table (or some of its slices) that may span processes and crashes.

    ``first_sequence``: the table's sequence when it opened; rows not above it when all slices
    are done are stale, if ``is_whole``. ``slices`` are in plan order. ``ceiling``: the source's clock
    when it opened, as a batch marker; no marker that comes of this reading may be later.
    """

    table: TableId
    generation: str
    first_sequence: int
    is_whole: bool
    slices: tuple[SliceState, ...]
    ceiling: Position | None = None
    opened_at: datetime | None = None

    @property
    def is_read(self) -> bool:
        return all(part.is_done for part in self.slices)

    @property
    def high(self) -> Position | None:
        """The largest of its slices' marker values: of one column, in one text of one width, which sorts as they do."""
        found = [part.high for part in self.slices if part.high is not None]
        return max(found, key=lambda position: json.dumps(position, sort_keys=True), default=None)

    def moved(self, commit: ChunkCommit) -> GenerationState:
        """The reading once a chunk of it is committed."""
        return replace(self, slices=tuple(part.moved(commit) for part in self.slices))


@dataclass(frozen=True, slots=True)
class ChunkBasis:
    """What a chunk notes before it reads: see ``ChunkCommit.basis`` and ``Source.read_chunk``.

    ``aside_position``: where the table is that its stream goes on without; it may be behind the stream or ahead of it.
    """

    sequence: int
    stream_position: Position | None
    aside_position: Position | None = None


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that holds a lease; ``started`` tells it from a later one with the same pid."""

    host: str
    pid: int
    started: float
    label: str = ""


def stream_lease(schema: str) -> str:
    """The name of the lease of the one who writes a schema's stream."""
    return f"stream:{schema}"


def batch_lease(table: TableId) -> str:
    """The name of the lease of the one who writes a batch table."""
    return f"batch:{table}"


def slice_lease(table: TableId, name: str) -> str:
    """The name of the lease of the one who reads a slice of a table."""
    return f"slice:{table}:{name}"


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease that was taken: its name and the token that renews it."""

    name: str
    token: str
