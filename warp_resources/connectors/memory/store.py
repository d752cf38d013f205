"""Holds what an in-memory destination has stored: one value per commit, replaced as a whole."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count
from typing import Any, ClassVar

from warp_resources.model.batches import DeadLetter, ErrorEntry
from warp_resources.model.positions import GenerationState, Holder, KeyRange, Position, StreamState, TableState
from warp_resources.model.reports import FinishedSlice
from warp_resources.model.statistics import TableStatistics
from warp_resources.model.tables import TableId
from warp_resources.model.versions import SchemaVersion

PENDING, SUPERSEDED = "pending", "superseded"
STREAM, BATCH = "stream", "batch"


@dataclass(frozen=True, slots=True)
class StoredRow:
    """One row: its values by stored column name, in the Python form of their Arrow carriers."""

    values: dict[str, Any]
    sequence: int
    synced_at: datetime


@dataclass(frozen=True, slots=True)
class StoredLetter:
    """A dead letter with the sequence of the commit that made it, and what has become of it.

    ``basis``: what its record is at least as new as; None where that is the same.
    """

    letter: DeadLetter
    sequence: int
    status: str
    occurred_at: datetime
    resolved_at: datetime | None = None
    basis: int | None = None
    run_id: str | None = None
    attempts: int = 0
    last_error: str | None = None
    retry_at: datetime | None = None
    number: int = field(default_factory=count(1).__next__)


@dataclass(frozen=True, slots=True)
class Deletion:
    """One row of ``deletion_log``; ``key_text`` is the key as ``arrow.keys`` spells it."""

    table: TableId
    key_text: str
    deleted_at: datetime
    position: Position | None
    strategy: str = "hard"


@dataclass(frozen=True, slots=True)
class LoggedError:
    """One row of ``error_log``."""

    entry: ErrorEntry
    run_id: str
    occurred_at: datetime
    number: int = field(default_factory=count(1).__next__)


@dataclass(frozen=True, slots=True)
class Run:
    """One row of ``sync_runs``."""

    run_id: str
    table: TableId
    mode: str
    status: str
    started_at: datetime
    finished_at: datetime | None = None
    rows_written: int = 0
    rows_deleted: int = 0
    rows_rejected: int = 0
    byte_count: int = 0
    start: Position | None = None
    end: Position | None = None
    error: str | None = None


@dataclass(slots=True)
class StoredTable:
    """One table: its marker, schema versions, rows by key text, plan, slices as they are claimed, and tombstones."""

    state: TableState
    versions: list[SchemaVersion] = field(default_factory=list)
    rows: dict[str, StoredRow] = field(default_factory=dict)
    plan: list[KeyRange] = field(default_factory=list)
    slice_epochs: dict[str, int] = field(default_factory=dict)
    slice_readings: dict[str, str] = field(default_factory=dict)
    tombstones: dict[str, int] = field(default_factory=dict)

    @property
    def version(self) -> int:
        return self.versions[-1].schema.version if self.versions else 0

    @property
    def strategy(self) -> str:
        """How the table keeps deletes, as ``deletion_log`` spells it."""
        return "soft" if self.versions and self.versions[-1].schema.is_soft else "hard"

    def is_live(self, row: StoredRow) -> bool:
        """Whether a row is not flagged as deleted."""
        return not (self.versions and row.values.get(self.versions[-1].schema.flag))

    def remove(self, keys: Iterable[str], sequence: int) -> list[str]:
        """Remove or flag live rows; the keys of those that there were."""
        gone = [key for key in keys if (row := self.rows.get(key)) is not None and self.is_live(row)]
        for key in gone:
            row = self.rows.pop(key)
            if self.strategy == "soft":
                values = row.values | {self.versions[-1].schema.flag: True}
                self.rows[key] = StoredRow(values, sequence, now())
        return gone

    def copy(self) -> StoredTable:
        return StoredTable(
            self.state,
            list(self.versions),
            dict(self.rows),
            list(self.plan),
            dict(self.slice_epochs),
            dict(self.slice_readings),
            dict(self.tombstones),
        )

    def next_sequence(self) -> int:
        """Count one more commit that touches the table."""
        self.state = replace(self.state, sequence=self.state.sequence + 1, updated_at=now())
        return self.state.sequence


@dataclass(slots=True)
class Contents:
    """Everything in a store at one commit. A draft is changed by its transaction only.

    ``read_at`` says when an open generation was opened or last written to, ``finished`` which slices were read to
    their end not long ago, ``removed`` what was counted in metadata that is no longer kept, ``discards`` the values
    discarded by table, column and action.
    """

    tables: dict[TableId, StoredTable] = field(default_factory=dict)
    streams: dict[str, StreamState] = field(default_factory=dict)
    generations: dict[tuple[TableId, str], GenerationState] = field(default_factory=dict)
    read_at: dict[tuple[TableId, str], datetime] = field(default_factory=dict)
    finished: tuple[FinishedSlice, ...] = ()
    letters: list[StoredLetter] = field(default_factory=list)
    deletions: list[Deletion] = field(default_factory=list)
    errors: list[LoggedError] = field(default_factory=list)
    runs: dict[tuple[str, TableId], Run] = field(default_factory=dict)
    removed: dict[TableId, TableStatistics] = field(default_factory=dict)
    discards: Counter[tuple[TableId, str, str]] = field(default_factory=Counter)
    _own: set[TableId] = field(default_factory=set)

    def draft(self) -> Contents:
        return Contents(
            dict(self.tables),
            dict(self.streams),
            dict(self.generations),
            dict(self.read_at),
            self.finished,
            list(self.letters),
            list(self.deletions),
            list(self.errors),
            dict(self.runs),
            dict(self.removed),
            Counter(self.discards),
        )

    def table(self, table: TableId, mode: str = STREAM) -> StoredTable:
        """A table to change: a copy made at first touch, or a new one."""
        if table not in self._own:
            known = self.tables.get(table)
            self.tables[table] = known.copy() if known else StoredTable(TableState(table, mode, 0, 0, 0, False))
            self._own.add(table)
        return self.tables[table]

    def open_generations(self, table: TableId) -> list[GenerationState]:
        """The open readings of a table, oldest first."""
        return [opened for (its, _), opened in self.generations.items() if its == table]

    def log_error(self, entry: ErrorEntry, run_id: str) -> None:
        self.errors.append(LoggedError(entry, run_id, now()))


@dataclass(slots=True)
class HeldLease:
    """A lease and until when, by the store's own clock in seconds."""

    holder: Holder
    token: str
    expires: float
    note: str | None = None


class MemoryStore:
    """A named place that all destinations of this process share; a commit is visible to all at once."""

    _named: ClassVar[dict[str, MemoryStore]] = {}
    _naming: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._contents = Contents()
        self.leases: dict[str, HeldLease] = {}
        self.mandates: dict[str, float] = {}

    @classmethod
    def named(cls, name: str) -> MemoryStore:
        """The store of that name, made at first use; it lives as long as the process."""
        with cls._naming:
            return cls._named.setdefault(name, cls())

    @classmethod
    def forget(cls, name: str) -> None:
        """Drop a store with all its rows."""
        with cls._naming:
            cls._named.pop(name, None)

    @property
    def contents(self) -> Contents:
        """What is committed: a value that no later commit changes."""
        return self._contents

    @contextmanager
    def transaction(self) -> Iterator[Contents]:
        """A draft that becomes the contents at the end, or nothing if an error leaves the block."""
        with self._lock:
            draft = self._contents.draft()
            yield draft
            self._contents = draft

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Guards the leases and mandates."""
        with self._lock:
            yield


def now() -> datetime:
    return datetime.now(UTC)
