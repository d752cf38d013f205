"""The in-memory source: for tests and as the shortest example of a connector."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from warp_resources.connectors.interfaces import (
    ChangeStream,
    LogWindow,
    MarkedRange,
    ReadLimits,
    SourceScope,
    SourceTable,
)
from warp_resources.connectors.memory.columns import raw_columns
from warp_resources.connectors.memory.key_texts import key_of
from warp_resources.connectors.memory.keys import spell_key
from warp_resources.connectors.memory.originals import original
from warp_resources.connectors.memory.redaction import redacted
from warp_resources.connectors.memory.restoring import restored
from warp_resources.connectors.memory.server import MemoryServer, Row
from warp_resources.connectors.memory.stream import LOG, MemoryChangeStream, log_number
from warp_resources.errors import OperatorError
from warp_resources.model.batches import Chunk, Original, Replacements, TableBatch
from warp_resources.model.capabilities import SourceCapabilities
from warp_resources.model.local_times import shown_since, shown_until
from warp_resources.model.positions import KeyRange, Position
from warp_resources.model.tables import TableId


class MemorySourceOptions(BaseModel):
    """Which server to read: sources of one name share it, as processes share a server."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    server: str = Field("default", description="Name of the server within this process.")


class MemorySource:
    """A ``Source`` over the databases of a ``MemoryServer``."""

    capabilities: ClassVar[SourceCapabilities] = SourceCapabilities(frozenset({"log", "timestamp", "hash"}))
    Options: ClassVar[type[BaseModel]] = MemorySourceOptions

    def __init__(self, options: MemorySourceOptions) -> None:
        self.server = MemoryServer.named(options.server)

    def check(self, scope: SourceScope, *, log: bool, known: bool = False) -> None:
        if not known and scope.database not in self.server.databases():
            raise OperatorError(
                "The server has no such database",
                remedy=f"Choose of: {', '.join(self.server.databases()) or 'none yet'}",
                database=scope.database,
            )

    def tables(self, scope: SourceScope) -> list[SourceTable]:
        return [
            SourceTable(name, count, sum(_size(row) for _, row in self.server.rows(scope.database, name)))
            for name, count in self.server.tables(scope.database).items()
            if scope.covers(name)
        ]

    def key(self, scope: SourceScope, table: str) -> tuple[str, ...]:
        return self.server.key(scope.database, table)

    def now(self) -> datetime:
        return datetime.now(UTC)

    def log_end(self, scope: SourceScope) -> Position:
        return {LOG: self.server.end}

    def log_window(self, scope: SourceScope) -> LogWindow | None:
        oldest, newest = self.server.log_times()
        return LogWindow(oldest, newest, self.server.is_trimmed, remedy="Trim the server's log later")

    def time_of(self, position: Position) -> datetime | None:
        """A place in this log is a number, not a time."""
        return None

    def is_reached(self, position: Position, target: Position) -> bool:
        return log_number(position) >= log_number(target)

    def has_delivered(self, position: Position, other: Position) -> bool:
        return log_number(position) >= log_number(other)

    def stream(self, scope: SourceScope, after: Position) -> ChangeStream:
        return MemoryChangeStream(self.server, scope, after)

    def plan(self, scope: SourceScope, table: str, slice_count: int) -> list[KeyRange]:
        keys = [text for text, _ in self.server.rows(scope.database, table)]
        count = max(1, min(slice_count, len(keys)))
        bounds = [None, *(keys[len(keys) * number // count] for number in range(1, count)), None]
        return [KeyRange(lower, upper) for lower, upper in pairwise(bounds)]

    def read_chunk(
        self,
        scope: SourceScope,
        table: str,
        key_range: KeyRange,
        resume: str | None,
        limits: ReadLimits,
        not_before: Position | None,
    ) -> Chunk:
        # The rows are read as they are now, which is never before a position that the log has reached.
        start = resume if resume is not None else key_range.lower
        with self.server.changed:
            found = self.server.rows(scope.database, table)
            is_gone = not found and table not in self.server.tables(scope.database)
        rows = [
            (text, row)
            for text, row in found
            if (start is None or text >= start) and (key_range.upper is None or text < key_range.upper)
        ]
        taken = _within([row for _, row in rows], limits)
        is_last = len(taken) == len(rows)
        return Chunk(self._batch(scope, table, taken), None if is_last else rows[len(taken)][0], is_last, is_gone)

    def read_marked(
        self, scope: SourceScope, table: str, marked: MarkedRange, limits: ReadLimits
    ) -> Iterator[TableBatch]:
        rows = [row for _, row in self.server.rows(scope.database, table) if _is_marked(row, marked)]
        while rows:
            taken = _within(rows, limits)
            rows = rows[len(taken) :]
            yield self._batch(scope, table, taken)

    def redact(self, scope: SourceScope, table: str, original: Original, replacements: Replacements) -> Original:
        return redacted(original, replacements, extended=scope.is_extended(table))

    def read_keys(self, scope: SourceScope, table: str, keys: Sequence[str], not_before: Position | None) -> TableBatch:
        names = self.server.key(scope.database, table)
        wanted = {spell_key(key): key for key in (key_of(text, names) for text in keys)}
        found = {text: row for text, row in self.server.rows(scope.database, table) if text in wanted}
        gone = [dict(zip(names, key, strict=True)) for text, key in wanted.items() if text not in found]
        present = self._batch(scope, table, list(found.values()))
        return replace(present, deletes=raw_columns(gone), delete_count=len(gone))

    def restore(self, scope: SourceScope, table: str, originals: Sequence[Original]) -> TableBatch:
        rows, flaws = restored(originals, self.server.key(scope.database, table))
        return replace(self._batch(scope, table, rows), flaws=tuple(flaws))

    def close(self) -> None:
        """Nothing to close: the server outlives its sources."""

    def _batch(self, scope: SourceScope, table: str, rows: Sequence[Row]) -> TableBatch:
        key = self.server.key(scope.database, table)
        return TableBatch(
            table=TableId(scope.schema, table),
            key=key,
            columns=raw_columns(rows, extended=scope.is_extended(table)),
            row_count=len(rows),
            original=lambda number: original(rows[number], key),
            byte_count=sum(map(_size, rows)),
        )


def _size(row: Row) -> int:
    return len(repr(row))


def _within(rows: Sequence[Row], limits: ReadLimits) -> list[Row]:
    """The first rows within the limits, but at least one."""
    taken: list[Row] = []
    size = 0
    for row in rows[: limits.max_rows]:
        size += _size(row)
        if taken and size > limits.max_bytes:
            break
        taken.append(row)
    return taken


def _is_marked(row: Row, marked: MarkedRange) -> bool:
    at = _time(row.get(marked.column))
    if at is None:
        return marked.unmarked
    since, until = marked.since, marked.until
    if at.tzinfo is None:
        since = None if since is None else shown_since(since, marked.timezone)
        until = None if until is None else shown_until(until, marked.timezone)
    return (since is None or since <= at) and (until is None or at < until)


def _time(value: Any) -> datetime | None:
    """Dates count as their first moment."""
    if isinstance(value, datetime):
        return value
    return datetime(value.year, value.month, value.day) if isinstance(value, date) else None
