"""The values that walk the line: what a source read, and what a destination writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

import pyarrow as pa

from warp_resources.model.positions import Commit, Position
from warp_resources.model.replays import NO_LETTERS, LetterOutcome
from warp_resources.model.rules import NO_RULES, TableRules
from warp_resources.model.tables import ColumnType, SchemaChange, TableId, TableSchema


@dataclass(frozen=True, slots=True)
class Variant:
    """The values of one type within a column; null where the row holds another type or nothing.

    ``family`` matters for key columns only (see ``arrow.keys``).
    """

    type: ColumnType
    values: pa.Array
    family: str = ""


@dataclass(frozen=True, slots=True)
class RawColumn:
    """One field as the source has it: a variant per type seen, each n values long, disjoint."""

    name: str
    variants: tuple[Variant, ...]


@dataclass(frozen=True, slots=True)
class Original:
    """One source record, whole and lossless: ``encoding`` is ``extended_json`` or ``base64``.

    ``primary_key`` is a JSON object as text, such as ``{"_id": {"$oid": "..."}}``.
    """

    record: str
    encoding: str
    primary_key: str

    def withheld(self) -> Original:
        """The key alone, where what may not be kept cannot be told from the rest of the record."""
        return Original(self.primary_key, WITHHELD, self.primary_key)


WITHHELD = "withheld"
"""The encoding of a record of which only the key was kept; it cannot be replayed."""

UNREADABLE_RECORD = "unreadable_record"
"""The reason of the flaw that a record is which cannot be read back."""

Replacements: TypeAlias = Mapping[str, Callable[[RawColumn], str] | None]
"""What becomes of fields: None where one goes altogether, else what gives the text in place of a value, which it
takes as a column of one row. Null stays null."""


@dataclass(frozen=True, slots=True)
class Flaw:
    """A value or row that the decoder could not carry over unchanged.

    ``column`` None means that the whole row is left out of the batch. ``reason`` is a closed set:
    ``invalid_utf8``, ``duplicate_field``, ``undecodable``, ``nul_removed``, ``negative_zero``, ...
    ``key_text`` is the row's key as ``arrow.keys`` spells it, None where it cannot be read.
    """

    original: Original
    reason: str
    column: str | None = None
    key_text: str | None = None


def _no_original(row: int) -> Original:
    raise LookupError(f"this batch keeps no originals (row {row})")


@dataclass(frozen=True, slots=True)
class Discard:
    """Values that were left out or changed because the configuration says so: they are counted only.

    ``action`` is ``drop``, ``hash``, ``mask``, ``discard``, ...
    """

    column: str
    action: str
    count: int


@dataclass(frozen=True, slots=True)
class TableBatch:
    """Rows read from one table, each key at most once, and the keys deleted from it.

    ``columns`` hold ``row_count`` rows and ``deletes`` hold ``delete_count`` keys (the key columns
    only, in the order of ``key``). No key is in both. ``original`` gives the source record of a row.
    """

    table: TableId
    key: tuple[str, ...]
    columns: tuple[RawColumn, ...]
    row_count: int
    deletes: tuple[RawColumn, ...] = ()
    delete_count: int = 0
    flaws: tuple[Flaw, ...] = ()
    original: Callable[[int], Original] = _no_original
    byte_count: int = 0
    discards: tuple[Discard, ...] = ()


class TableEventKind(StrEnum):
    """What happened to a source table as a whole."""

    DROPPED = "dropped"
    RENAMED = "renamed"
    REPLACED = "replaced"  # another table took this name, with all its rows: it must be read again
    TRUNCATED = "truncated"
    DATABASE_DROPPED = "database_dropped"


@dataclass(frozen=True, slots=True)
class TableEvent:
    """A drop, rename or truncation, seen in the change stream; ``detail`` is one phrase."""

    kind: TableEventKind
    table: TableId
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Changes:
    """A cut of the change stream: the last state of each key touched, and where the cut ends.

    ``tables`` is empty when only the position moved. ``occurred_at`` is the source's time of the
    last event in the cut, by the source's clock. ``has_more``: the limits ended the cut, and more is there already.
    """

    tables: tuple[TableBatch, ...]
    position: Position
    event_count: int = 0
    events: tuple[TableEvent, ...] = ()
    occurred_at: datetime | None = None
    byte_count: int = 0
    has_more: bool = False


@dataclass(frozen=True, slots=True)
class Chunk:
    """Part of a slice: rows in key order, the bound to read on from, and whether the slice ends.

    ``is_gone``: there is no such table now, which says nothing of rows that it had, or may have in a moment.
    """

    batch: TableBatch
    resume: str | None
    is_last: bool
    is_gone: bool = False


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A value (``column``) or a whole row that could not be stored as it was; replayable."""

    table: TableId
    primary_key: str
    operation: str
    reason: str
    column: str | None
    record: str
    encoding: str
    key_text: str | None


@dataclass(frozen=True, slots=True)
class ErrorEntry:
    """One row of ``error_log``: what went wrong and what was done; never a cell value."""

    table: TableId
    error_type: str
    message: str
    action: str
    column: str | None = None
    severity: str = "warning"
    primary_key: str | None = None


@dataclass(frozen=True, slots=True)
class ConformedTable:
    """One table's part of a commit, in the destination's own types and stored names.

    ``rows``: one column per column of ``schema`` that the batch brings, named as stored; columns of
    ``schema`` that are absent are to be set null in the rows written. ``deletes``: the key columns.
    ``based_on`` is the schema version that ``changes`` start from. ``row_keys`` and ``delete_keys``
    give each row's key as canonical text (``arrow.keys``), for tombstones and dead letters. ``original``
    gives the source record of a row of ``rows``, for those that the destination refuses.
    """

    schema: TableSchema
    based_on: int
    changes: tuple[SchemaChange, ...]
    rows: pa.RecordBatch
    deletes: pa.RecordBatch | None
    row_keys: Callable[[], pa.Array]
    delete_keys: Callable[[], pa.Array]
    dead_letters: tuple[DeadLetter, ...] = ()
    errors: tuple[ErrorEntry, ...] = ()
    byte_count: int = 0
    original: Callable[[int], Original] = _no_original
    discards: tuple[Discard, ...] = ()
    rules: TableRules = NO_RULES


@dataclass(frozen=True, slots=True)
class ConformedBatch:
    """All that commits together: schema changes, rows, deletes, dead letters and the marker."""

    tables: tuple[ConformedTable, ...]
    commit: Commit
    run_id: str
    errors: tuple[ErrorEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class TableReceipt:
    """What one table's part of a commit did; ``sequence`` is the one its rows now carry."""

    sequence: int
    rows_written: int = 0
    rows_deleted: int = 0
    rows_rejected: int = 0
    byte_count: int = 0


@dataclass(frozen=True, slots=True)
class WriteReceipt:
    """The proof of a commit.

    ``stream_sequence`` is the stream row's new sequence, for its fence. ``letters``: what a replay made of the dead
    letters that it was for. ``locked_seconds``: how long other writers of the tables had to wait for this commit; 0
    where nobody else writes them yet.
    """

    tables: dict[TableId, TableReceipt] = field(default_factory=dict)
    stream_sequence: int | None = None
    letters: LetterOutcome = NO_LETTERS
    locked_seconds: float = 0.0
