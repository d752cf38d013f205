"""Follows the log of an in-memory server."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import groupby

from warp_resources.connectors.interfaces import ReadLimits, SourceScope
from warp_resources.connectors.memory.columns import raw_columns
from warp_resources.connectors.memory.originals import original
from warp_resources.connectors.memory.server import LogEntry, MemoryServer
from warp_resources.errors import HistoryLost, OperatorError
from warp_resources.model.batches import Changes, TableBatch, TableEvent
from warp_resources.model.positions import Position
from warp_resources.model.tables import TableId

LOG = "log"


class MemoryChangeStream:
    """A ``ChangeStream`` of the tables of a scope."""

    def __init__(self, server: MemoryServer, scope: SourceScope, after: Position) -> None:
        self._server = server
        self._scope = scope
        self._schema = scope.schema
        self._database = scope.database
        self._at = log_number(after)
        self._demand_history()

    def next(self, limits: ReadLimits, wait: timedelta) -> Changes | None:
        with self._server.changed:
            self._server.changed.wait_for(lambda: self._server.end > self._at, wait.total_seconds())
            self._demand_history()
            entries = _cut(self._server.log_after(self._at), limits)
            end = self._server.end
        if not entries:
            return None
        self._at = entries[-1].number
        mine = [entry for entry in entries if entry.database == self._database and self._scope.covers(entry.table)]
        return Changes(
            tables=tuple(self._batch(name, part) for name, part in _by_table(mine)),
            position={LOG: self._at},
            event_count=len(mine),
            events=tuple(self._event(entry) for entry in mine if entry.event is not None),
            occurred_at=mine[-1].at if mine else None,
            byte_count=sum(entry.byte_count for entry in mine),
            has_more=self._at < end,
        )

    def close(self) -> None:
        """Nothing to close."""

    def _demand_history(self) -> None:
        if not self._server.has_after(self._at):
            raise HistoryLost(
                "The server's log no longer has what follows the position",
                remedy="Resync the tables of this schema",
                schema=self._schema,
                position=self._at,
            )

    def _event(self, entry: LogEntry) -> TableEvent:
        assert entry.event is not None
        return TableEvent(entry.event, TableId(self._schema, entry.table))

    def _batch(self, name: str, entries: Sequence[LogEntry]) -> TableBatch:
        key = self._server.key(self._database, name)
        rows = [entry.row for entry in entries if entry.row is not None]
        gone = [dict(zip(key, entry.key, strict=True)) for entry in entries if entry.row is None]
        return TableBatch(
            table=TableId(self._schema, name),
            key=key,
            columns=raw_columns(rows, extended=self._scope.is_extended(name)),
            row_count=len(rows),
            deletes=raw_columns(gone),
            delete_count=len(gone),
            original=lambda number: original(rows[number], key),
            byte_count=sum(entry.byte_count for entry in entries),
        )


def log_number(position: Position) -> int:
    """The last log entry that a position has seen."""
    number = position.get(LOG)
    if not isinstance(number, int):
        raise OperatorError("The position is not one of a memory server's log", remedy=f'Write it as {{"{LOG}": 1}}')
    return number


def _cut(entries: Sequence[LogEntry], limits: ReadLimits) -> list[LogEntry]:
    """Whole transactions within the limits, but at least one; one beyond ``max_bytes`` is cut inside.

    What follows an event of a whole table is for the next cut.
    """
    taken: list[LogEntry] = []
    size = 0
    for _, group in groupby(entries, key=lambda entry: entry.transaction):
        part = list(group)
        part_size = sum(entry.byte_count for entry in part)
        if taken and (size + part_size > limits.max_bytes or len(taken) + len(part) > (limits.max_rows or 2**62)):
            return taken
        if part_size > limits.max_bytes:
            return _within(part, limits.max_bytes)
        taken += part
        size += part_size
        if part[-1].event is not None:
            return taken
    return taken


def _within(entries: Sequence[LogEntry], max_bytes: int) -> list[LogEntry]:
    taken: list[LogEntry] = []
    size = 0
    for entry in entries:
        size += entry.byte_count
        if taken and size > max_bytes:
            break
        taken.append(entry)
    return taken


def _by_table(entries: Sequence[LogEntry]) -> list[tuple[str, list[LogEntry]]]:
    """The last entry of each key, by table."""
    last: dict[str, dict[str, LogEntry]] = {}
    for entry in entries:
        if entry.event is None:
            last.setdefault(entry.table, {})[entry.key_text] = entry
    return [(name, list(rows.values())) for name, rows in sorted(last.items())]
