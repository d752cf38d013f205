"""What a connector promises: the protocols that every source and destination implements."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any, ClassVar, Protocol, runtime_checkable

import pyarrow as pa
from pydantic import BaseModel

from warp_resources.model.batches import (
    Changes,
    Chunk,
    ConformedBatch,
    ConformedTable,
    ErrorEntry,
    Original,
    Replacements,
    TableBatch,
    WriteReceipt,
)
from warp_resources.model.capabilities import Capabilities, SourceCapabilities
from warp_resources.model.differences import Difference, Surplus
from warp_resources.model.letters import ErrorSelection, KeptError, KeptLetter, LetterCount, LetterSelection
from warp_resources.model.positions import (
    ChunkBasis,
    GenerationState,
    Holder,
    KeyRange,
    Lease,
    Position,
    SliceState,
    StreamCommit,
    StreamState,
    TableState,
)
from warp_resources.model.reports import FinishedSlice, RunFigures
from warp_resources.model.retention import RetentionPeriods
from warp_resources.model.rewrites import RewriteState
from warp_resources.model.statistics import TableStatistics
from warp_resources.model.tables import TableId, TableSchema
from warp_resources.model.versions import Rollback, SchemaVersion
from warp_resources.model.work import WorkEstimate, Workload

ENGINE_CONNECTIONS = 3
"""What an engine process holds to the destination: one for data, two for leases; old metadata goes through one
more, once an hour and for moments, and so does a look at the history of a stream, every minute."""


@dataclass(frozen=True, slots=True)
class SourceTable:
    """A table that the source has: its size is an estimate.

    ``is_query``: its rows are the result of a query that has to be paid for, such as a view's, and its size is unknown.
    """

    name: str
    row_estimate: int
    byte_estimate: int
    is_query: bool = False


@dataclass(frozen=True, slots=True)
class LogWindow:
    """How far back a source's log goes: the source's times, in UTC, of its oldest and its newest entry.

    ``is_full``: its oldest entries go as new ones come; a log that has room left has lost nothing yet. ``remedy``: how
    an operator makes it reach further back.
    """

    oldest: datetime
    newest: datetime
    is_full: bool
    remedy: str


@dataclass(frozen=True, slots=True)
class SourceScope:
    """The part of a source that one schema reads.

    ``database`` is the source's database or schema. ``include`` and ``exclude`` are shell globs over
    table names, an empty ``include`` meaning all; ``exclude`` wins. Nested values of the
    tables that ``extended_json`` names become relaxed extended JSON; ``plain_json`` wins over it.
    ``keys``: table names, as globs, with the key columns that the user declares of them, for tables that have no key
    of their own.
    """

    schema: str
    database: str
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    extended_json: tuple[str, ...] = ()
    plain_json: tuple[str, ...] = ()
    keys: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def declared_key(self, table: str) -> tuple[str, ...] | None:
        """The key columns that the user declares of a table."""
        return next((key for glob, key in self.keys if fnmatchcase(table, glob)), None)

    def covers(self, table: str) -> bool:
        """Whether the scope names a table."""
        if any(fnmatchcase(table, glob) for glob in self.exclude):
            return False
        return not self.include or any(fnmatchcase(table, glob) for glob in self.include)

    def is_extended(self, table: str) -> bool:
        """Whether the nested values of a table become relaxed extended JSON."""
        if any(fnmatchcase(table, glob) for glob in self.plain_json):
            return False
        return any(fnmatchcase(table, glob) for glob in self.extended_json)


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """``max_rows`` None means no bound but ``max_bytes``, which is of source bytes."""

    max_rows: int | None
    max_bytes: int


@dataclass(frozen=True, slots=True)
class MarkedRange:
    """Rows of a batch table by marker column, ``since`` <= value < ``until``; None is open.

    ``unmarked``: rows whose marker is null, missing or not a time are included. ``timezone``: times without a zone, and
    dates, are what clocks there show; where they are put back, such a row may be in two ranges, and is in one at least.
    """

    column: str
    since: datetime | None
    until: datetime | None
    unmarked: bool = True
    timezone: str = "UTC"


class ChangeStream(Protocol):
    """An open place in a source's log. Used by one thread at a time."""

    def next(self, limits: ReadLimits, wait: timedelta) -> Changes | None:
        """The next cut, at once if anything is there, else after at most ``wait``.

        A cut ends at a source transaction's end where ``max_bytes`` allows, and after an event of a whole
        table. A cut without rows carries a position that moved. None: nothing moved.

        Raises:
            TransientError: open the stream again at the last committed position.
            HistoryLost: the source no longer has what follows the position.
        """
        ...

    def close(self) -> None:
        """Give back what the server keeps for it; ``next`` opens it again at the same place."""
        ...


@runtime_checkable
class Source(Protocol):
    """Where rows and changes come from. One instance serves one process; connects lazily."""

    capabilities: ClassVar[SourceCapabilities]
    Options: ClassVar[type[BaseModel]]

    def __init__(self, options: Any) -> None: ...

    def check(self, scope: SourceScope, *, log: bool, known: bool = False) -> None:
        """Reach the server and prove what the mode needs (``log``: a change stream) and its grants.

        ``known``: the schema has run before, so a database that is no longer there is no error.

        Raises:
            OperatorError: with the remedy (replica set, grant, nearest database name).
            TransientError: the server does not answer within its connection timeout.
        """
        ...

    def tables(self, scope: SourceScope) -> list[SourceTable]:
        """The tables of the scope, in name order."""
        ...

    def key(self, scope: SourceScope, table: str) -> tuple[str, ...] | None:
        """The key columns that a table's rows and deletes come with, known or not; None where it has no key."""
        ...

    def now(self) -> datetime:
        """The source's clock, in UTC."""
        ...

    def log_end(self, scope: SourceScope) -> Position:
        """The end of the log now: a stream opened there misses nothing that commits later."""
        ...

    def log_window(self, scope: SourceScope) -> LogWindow | None:
        """How far back the log goes on the server that streams are read from; None where there is no telling.

        May be asked while other threads use the source.

        Raises:
            OperatorError: the user lacks a privilege that nothing else needs; with the grant.
            TransientError: the server does not answer.
        """
        ...

    def time_of(self, position: Position) -> datetime | None:
        """The source's time, in UTC, up to which a position has seen everything; None where none is in it."""
        ...

    def is_reached(self, position: Position, target: Position) -> bool:
        """Whether a stream at ``position`` has delivered everything up to ``target``."""
        ...

    def has_delivered(self, position: Position, other: Position) -> bool:
        """Whether a stream at ``position`` has delivered all that one at ``other`` has, of the same log."""
        ...

    def stream(self, scope: SourceScope, after: Position) -> ChangeStream:
        """Everything that committed after the position, in commit order."""
        ...

    def plan(self, scope: SourceScope, table: str, slice_count: int) -> list[KeyRange]:
        """At most ``slice_count`` ranges that together hold every possible key, even in size."""
        ...

    def read_chunk(
        self,
        scope: SourceScope,
        table: str,
        key_range: KeyRange,
        resume: str | None,
        limits: ReadLimits,
        not_before: Position | None,
    ) -> Chunk:
        """The next rows of a slice, from ``resume`` (text of the source's own; None: the slice's start).

        Reads majority-committed data no older than ``not_before``; a source without a log, of one moment between the
        slice's start and now. Rows from before ``resume`` may be delivered again. A table that does not exist is an
        empty, last chunk that is ``is_gone``.
        """
        ...

    def read_marked(
        self, scope: SourceScope, table: str, marked: MarkedRange, limits: ReadLimits
    ) -> Iterator[TableBatch]:
        """The rows of a range of the marker column, in batches within the limits, in any order.

        A row that changes while being read is delivered in at least one of its states.
        """
        ...

    def read_keys(self, scope: SourceScope, table: str, keys: Sequence[str], not_before: Position | None) -> TableBatch:
        """The present rows of some keys, and as deletes the keys that the table does not have.

        Reads as ``read_chunk`` does. A table that does not exist has none of them.

        Args:
            keys: each a JSON object as text, such as ``{"_id": 1}``: as ``Original.primary_key`` has it, or with
                the key as ``arrow.keys`` spells it.
        """
        ...

    def redact(self, scope: SourceScope, table: str, original: Original, replacements: Replacements) -> Original:
        """A record of the table as it may be kept: each of the named fields, however often it occurs, is left out
        or has the text that its replacement makes of its value, as the table's batches would bring that value.

        A record that cannot be taken apart is kept as ``original.withheld()``.
        """
        ...

    def restore(self, scope: SourceScope, table: str, originals: Sequence[Original]) -> TableBatch:
        """The records of dead letters as rows again, in any order, as a chunk would bring them; asks no server.

        A record that cannot be read back, or was withheld, is a flaw of the reason ``unreadable_record``.
        """
        ...

    def close(self) -> None: ...


class Comparison(Protocol):
    """Compares a table with what a source has of it, chunk by chunk. Changes nothing; used by one thread at a time."""

    def compare(self, part: ConformedTable) -> list[Difference]:
        """How the rows of a part, and the rows of its deletes, differ from those stored, compared by image.

        The stored rows count as they would be after the part's schema changes; flagged rows count as gone.
        A row that is not the same because it was set aside whole is told of as SET_ASIDE.

        Raises:
            SchemaMoved: the table's version is not ``based_on``; conform again.
        """
        ...

    def surplus(self, limit: int, since: int) -> list[Surplus]:
        """At most ``limit`` of the stored rows whose keys no compared part had; each is told of once.

        Rows that a commit after the table's sequence ``since`` has written are left out.
        """
        ...


@runtime_checkable
class Destination(Protocol):
    """Where rows land, with the metadata of SPEC 4. Used by one thread at a time.

    A batch commits as one unit or not at all. Every method may raise ``TransientError`` (nothing is
    committed, call again) or ``OperatorError`` (calling again cannot help).
    """

    capabilities: ClassVar[Capabilities]
    Options: ClassVar[type[BaseModel]]

    def __init__(self, options: Any) -> None: ...

    def check(self, schemas: Sequence[str] = ()) -> None:
        """Reach the server and prove the grants that writing into these stored schemas needs; changes nothing."""
        ...

    def prepare(self) -> None:
        """Create or migrate ``cartridge_warp_metadata``. Safe to repeat, also at the same time.

        Raises:
            OperatorError: the metadata schema is of a later version, or not ours.
        """
        ...

    def table_schemas(self, schema: str) -> dict[str, TableSchema]:
        """The latest registered schema of each table, by source table name; empty before prepare."""
        ...

    def schema_versions(self, table: TableId, newest: int | None = None) -> list[SchemaVersion]:
        """The registered versions of a table's schema, all or the ``newest``; oldest first."""
        ...

    def plan_rollback(self, table: TableId, version: int) -> Rollback:
        """What ``roll_back`` would do now; changes nothing.

        Raises:
            ConfigurationError: the table has no such version.
        """
        ...

    def roll_back(self, table: TableId, version: int, run_id: str) -> Rollback:
        """Bring columns back to the types of an earlier version, as a new version of the table's schema.

        Only columns whose every value converts exactly, and back to what it was; they are counted with nobody
        else writing. Nothing is removed. Running writers find that the schema has moved.

        Raises:
            ConfigurationError: the table has no such version.
        """
        ...

    def stream_state(self, schema: str) -> StreamState | None:
        """The stream row, None where the schema never streamed; also before prepare."""
        ...

    def table_states(self, schema: str) -> dict[str, TableState]:
        """The tables' own rows, by source table name."""
        ...

    def start_stream(
        self,
        schema: str,
        position: Position,
        lost: Sequence[TableId] = (),
        *,
        generation: str = "",
        errors: Sequence[ErrorEntry] = (),
        run_id: str = "",
        fence: StreamCommit | None = None,
    ) -> StreamState:
        """Put the stream at a new start with a new epoch; the ``lost`` tables must be read again.

        In one transaction: the row is made or moved, its epoch and sequence are raised, the tables of
        ``lost`` are covered from here and not loaded, their open generations are closed as abandoned, a
        whole generation named ``generation`` is opened for each of them (over its stored plan, else
        over one slice of all keys), and ``errors`` go to ``error_log``.

        Args:
            fence: holds only where the row still has its epoch and sequence, else ``FencedOut``; epoch and
                sequence 0 stand for no row. None: an operator's word, whoever streams.
        """
        ...

    def seize_stream(self, schema: str) -> StreamState:
        """Raise the epoch of the stream row, so that no earlier writer can commit."""
        ...

    def admit(
        self,
        commit: StreamCommit,
        tables: Sequence[TableId],
        dismissed: Sequence[TableId],
        *,
        generation: str = "",
    ) -> int:
        """Under a stream's fence: cover ``tables`` from the committed position on, uncover ``dismissed``.

        None of them is set aside any more, and whatever read them until now is closed as abandoned.

        Args:
            commit: a ``StreamCommit`` with the position unchanged.
            generation: names a whole generation that is opened for each of ``tables`` in the same transaction.

        Returns:
            The stream row's new sequence.
        """
        ...

    def seize_table(self, table: TableId, mode: str) -> TableState:
        """Raise the epoch of a table's row, making it where missing, for a ``batch`` writer.

        Where the row was a stream's until now, the table must be read again: in the same transaction it
        is not loaded, not covered, without a position, and its open generations are closed as abandoned.

        A new row's sequence starts above ``max(_warp_sequence)`` of the stored table, if that exists.
        """
        ...

    def mark_loaded(self, table: TableId) -> None:
        """Record that the table needs no first load (``full_load_enabled: false``)."""
        ...

    def table_plan(self, table: TableId) -> list[KeyRange]:
        """The stored key ranges of the table, in order; empty where there is no plan yet."""
        ...

    def save_plan(self, table: TableId, ranges: Sequence[KeyRange]) -> list[KeyRange]:
        """Store a plan, unless there is one of the same count or that is being read; the one that counts."""
        ...

    def open_generation(
        self,
        table: TableId,
        generation: str,
        slices: Sequence[str] | None = None,
        ceiling: Position | None = None,
        *,
        removes_stale: bool = True,
    ) -> GenerationState:
        """Open a reading over the stored plan, or take up the open one of that name.

        From its commit on, every delete of a key of the table leaves a tombstone. ``slices`` None
        means all of the plan, which makes it whole; an open generation takes on further slices. Slices
        are named ``slice-00``, ``slice-01``, ... ``ceiling`` is kept as the one of its first opening.
        ``removes_stale`` False: it removes nothing in the end, even if it has all slices.

        A table that somebody has dropped in the destination is made again by a whole reading, which then begins anew.
        """
        ...

    def abandon_idle_generations(self, schema: str, idle: timedelta, is_held: Callable[[str], bool]) -> int:
        """Close, without removing anything, generations in which nothing was committed for ``idle``; how many.

        An ``error_log`` row says so. Those are left open of which a slice is read.

        Args:
            is_held: whether anybody holds the lease of this name; it may ask a server.
        """
        ...

    def generations(self, schema: str) -> list[GenerationState]:
        """The open generations of a schema's tables, oldest first."""
        ...

    def seize_slice(self, table: TableId, generation: str, slice_name: str) -> tuple[int, SliceState]:
        """Raise the epoch of a slice's marker row; the new epoch and how far the slice has come."""
        ...

    def chunk_basis(self, table: TableId) -> ChunkBasis:
        """The table's committed sequence, its stream's committed position and its own where it is aside, as one."""
        ...

    def close_generation(self, table: TableId, generation: str, run_id: str) -> int:
        """End a generation all of whose slices are done; remove what it proved stale.

        If it is whole, rows whose sequence is not above ``first_sequence`` are deleted (or flagged, where the
        table's schema ``is_soft``) through ``deletion_log``, but for keys quarantined since; the table is
        loaded; a batch table's marker becomes the largest ``high`` of its slices. Tombstones go with the last
        open generation.

        Returns:
            The rows removed or flagged.
        """
        ...

    def abandon_generation(self, table: TableId, generation: str, reason: str) -> None:
        """Close a generation without removing anything, with an ``error_log`` row."""
        ...

    def write(self, batch: ConformedBatch) -> WriteReceipt:
        """Commit DDL, rows, deletes, dead letters, deletion log and marker as one unit.

        A stream's commit also notes the tables that it sets aside or takes back, in their own rows.

        In a table whose schema ``is_soft`` a delete sets the flag and the commit's sequence, and the row stays.
        A flagged row is deleted already: another delete of its key does nothing. Any write clears the flag.

        A ``ReplayCommit`` writes or deletes a key only where its newest pending letter is the one that it was made
        of and no row is newer than its letters, and settles all pending letters of the key: see
        ``evolution.replays``. Rows that the server refuses are lost like any other.

        A row that constraints of the user's own refuse becomes a whole-row dead letter, with ``original`` as its
        record and the cause as its reason (``foreign_key``, ``unique``, ``check``, ``not_null``, ...); the others
        are written. A delete that is refused is one with operation ``delete``.

        Raises:
            FencedOut: the commit's fence does not hold; nothing is committed.
            SchemaMoved: a table's version is not ``based_on``; nothing is committed.
            TableFailure: more of a table's rows are refused than its ``rules`` allow; nothing is committed.
            RewriteWanted: type changes would lock a large table for long; nothing is committed. Give the batch
                again with ``evolution.rewriting.begin_rewrites``; then ``advance_rewrite`` is to be called.
        """
        ...

    def rewrites(self, schema: str) -> list[RewriteState]:
        """The type changes that go on beside the use of their tables, by table name."""
        ...

    def advance_rewrite(self, table: TableId, run_id: str) -> RewriteState | None:
        """Take a table's type changes one small step further; None where none goes on.

        Call it again until the share is 1, between other work, from as many processes as like to. No step locks
        the table for longer than a tenth of a second or so; one that would have to wait says so in its state.
        """
        ...

    def record_run(
        self,
        run_id: str,
        table: TableId,
        mode: str,
        status: str,
        error: str | None = None,
        start: Position | None = None,
        end: Position | None = None,
    ) -> None:
        """Open, finish or fail a row of ``sync_runs``; ``write`` keeps its counts by run, table and mode.

        Who opens the row of a batch table, or of a schema's stream (no table name), holds its lease: rows that
        others left running there end as ``interrupted``. A row that ends takes along what the run counted of
        its table in other modes, or of its schema's tables.
        """
        ...

    def record_errors(self, errors: Sequence[ErrorEntry], run_id: str) -> None:
        """Append ``ErrorEntry`` values to ``error_log`` outside any batch."""
        ...

    def dead_letters(self, selection: LetterSelection, *, with_records: bool = True) -> list[KeptLetter]:
        """The chosen dead letters; their records are left empty unless they are asked for."""
        ...

    def letter_counts(self, selection: LetterSelection) -> list[LetterCount]:
        """How many of the chosen dead letters there are, by table, reason and status; ``limit`` counts for nothing."""
        ...

    def discard_letters(self, selection: LetterSelection) -> int:
        """Give the chosen letters that are pending the status ``discarded``; how many. Nothing is removed."""
        ...

    def logged_errors(self, selection: ErrorSelection) -> list[KeptError]:
        """The chosen rows of ``error_log``, newest first."""
        ...

    def remove_expired(self, periods: RetentionPeriods, limit: int) -> int:
        """Remove metadata that is older than its period, at most ``limit`` rows of each table at a time.

        A destination whose statements are paid for, whatever they change, may remove all at once.

        Call it again until it is 0, which it also is while another process is at it; on an instance of its
        own, since no commit waits for it. Pending dead letters, runs that go on, markers and
        ``schema_registry`` stay, and so do resolved letters of a table with an open generation.
        ``statistics`` goes on counting what is gone.

        Returns:
            The rows removed.
        """
        ...

    def row_count(self, table: TableId) -> int:
        """Rows that the destination has of a table but those flagged as deleted; 0 where it does not exist."""
        ...

    def statistics(self, schema: str) -> list[TableStatistics]:
        """The figures of a schema's tables so far, for status and metrics; empty before prepare."""
        ...

    def recent_runs(self, schema: str, within: timedelta) -> list[RunFigures]:
        """The runs of a schema's tables that go on or ended within that time, oldest first."""
        ...

    def figures_of_run(self, schema: str, run_id: str) -> list[RunFigures]:
        """What one run has done to each table of a schema so far, however long ago it was."""
        ...

    def finished_slices(self, schema: str, within: timedelta) -> list[FinishedSlice]:
        """The slices, of whatever generation, that were read to their end within that time."""
        ...

    def comparison(self, table: TableId) -> AbstractContextManager[Comparison]:
        """A comparison of one table, which needs this connection until it ends."""
        ...

    def preview(self, table: TableId, limit: int) -> pa.Table:
        """Some rows as text for a person to look at; no columns where the table does not exist."""
        ...

    def row_estimate(self, table: TableId) -> int:
        """About how many rows a table has, quickly; 0 where it does not exist."""
        ...

    def earliest(self, table: TableId, column: str) -> datetime | None:
        """The smallest time in a column, None where it has none or takes seconds to find."""
        ...

    def array_columns(self, table: TableId) -> tuple[str, ...]:
        """The columns that the destination's options want to be arrays of its own, where they are made as JSON.

        By source name. See ``Column.is_array``.
        """
        ...

    def estimate_work(self, workload: Workload) -> WorkEstimate | None:
        """What a schema will ask of the service in a day, against its limits; None where nothing is limited or billed.

        Asks nothing of the server.
        """
        ...

    def state_store(self) -> StateStore:
        """The store of leases that goes with this destination, on a connection of its own."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class StateStore(Protocol):
    """Leases and mandates, by the store's own clock. Each call is its own small transaction."""

    def take_lease(self, name: str, holder: Holder, ttl: timedelta) -> Lease:
        """Take a lease that is free, expired, or held by a process of this host that is dead.

        Raises:
            LeaseHeld: with the holder in its facts.
        """
        ...

    def renew_leases(self, leases: Sequence[Lease], ttl: timedelta) -> list[Lease]:
        """Renew those that are still ours and return them."""
        ...

    def release_lease(self, lease: Lease) -> None: ...

    def lease_holder(self, name: str) -> Holder | None:
        """Who holds a lease that has not expired."""
        ...

    def note(self, lease: Lease, text: str) -> None:
        """Keep a text beside a lease, if it is still ours; it goes when the lease does."""
        ...

    def noted(self, name: str) -> str | None:
        """The text beside a lease that has not expired."""
        ...

    def end_frozen(self) -> None:
        """End what processes that are frozen have open here, where others wait for its locks; call it every second."""
        ...

    def set_mandate(self, schema: str, ttl: timedelta) -> None:
        """Allow (or with a zero ``ttl`` forbid) the drainer of a schema to run on."""
        ...

    def has_mandate(self, schema: str) -> bool: ...

    def close(self) -> None: ...
