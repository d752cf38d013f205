"""Named databases of rows in memory, with a log of every change to them."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar, TypeAlias

from warp_resources.connectors.memory.keys import spell_key
from warp_resources.errors import OperatorError
from warp_resources.model.batches import TableEventKind

Row: TypeAlias = dict[str, Any]
DEFAULT_KEY = ("_id",)


@dataclass(frozen=True, slots=True)
class Put:
    """Insert a row, or replace the row of its key."""

    table: str
    row: Row


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove the row of a key, given as one value or as a tuple in key order."""

    table: str
    key: Any


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One change: ``row`` None is a delete. ``transaction`` counts the commits, ``number`` the entries."""

    number: int
    transaction: int
    database: str
    table: str
    at: datetime
    key_text: str = ""
    key: tuple[Any, ...] = ()
    row: Row | None = None
    event: TableEventKind | None = None

    @property
    def byte_count(self) -> int:
        return len(repr(self.row)) + len(self.key_text)


@dataclass(slots=True)
class MemoryTable:
    """A table's key columns, and its rows by key text."""

    key: tuple[str, ...]
    rows: dict[str, Row] = field(default_factory=dict)

    def key_of(self, row: Row) -> tuple[Any, ...]:
        return tuple(row[name] for name in self.key)


class MemoryServer:
    """What a database server is to the other sources: databases, tables and one log, shared by name.

    A row is a dict of bool, int, float, Decimal, str, bytes, UUID, date, time, datetime, dict, list or None;
    its key columns must be there. Rows are copied in and out.
    """

    _named: ClassVar[dict[str, MemoryServer]] = {}
    _naming: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self._databases: dict[str, dict[str, MemoryTable]] = {}
        self._log: list[LogEntry] = []
        self._first = 1
        self._begun_at = datetime.now(UTC)
        self._transaction = 0

    @classmethod
    def named(cls, name: str) -> MemoryServer:
        """The server of that name, made at first use; it lives as long as the process."""
        with cls._naming:
            return cls._named.setdefault(name, cls())

    @classmethod
    def forget(cls, name: str) -> None:
        """Drop a server with all its databases."""
        with cls._naming:
            cls._named.pop(name, None)

    def create_table(self, database: str, table: str, key: Sequence[str] = DEFAULT_KEY) -> None:
        """Make an empty table; ``put`` makes one with the key ``_id`` by itself."""
        with self.changed:
            self._databases.setdefault(database, {}).setdefault(table, MemoryTable(tuple(key)))

    def put(self, database: str, table: str, *rows: Row) -> None:
        """Insert or replace rows as one transaction."""
        self.commit(database, [Put(table, row) for row in rows])

    def delete(self, database: str, table: str, *keys: Any) -> None:
        """Remove the rows of these keys, where there are any, as one transaction."""
        self.commit(database, [Delete(table, key) for key in keys])

    def commit(self, database: str, changes: Iterable[Put | Delete]) -> None:
        """Apply changes as one transaction."""
        with self.changed:
            self._transaction += 1
            for change in changes:
                self._apply(database, change)
            self.changed.notify_all()

    def drop_table(self, database: str, table: str) -> None:
        """Remove a table with its rows; the log has one event for it."""
        self._end(database, table, TableEventKind.DROPPED)

    def truncate(self, database: str, table: str) -> None:
        """Remove all rows of a table; the log has one event for it."""
        self._end(database, table, TableEventKind.TRUNCATED)

    def trim_log(self) -> None:
        """Forget the log so far, as a server does that keeps only some hours of it."""
        with self.changed:
            self._first = self.end + 1
            self._log.clear()
            self._begun_at = datetime.now(UTC)

    @property
    def end(self) -> int:
        """The number of the last entry ever logged."""
        return self._first + len(self._log) - 1

    def has_after(self, number: int) -> bool:
        """Whether the log still has everything that follows an entry."""
        return number >= self._first - 1

    @property
    def is_trimmed(self) -> bool:
        """Whether the log has ever forgotten anything."""
        return self._first > 1

    def log_times(self) -> tuple[datetime, datetime]:
        """From when the log has everything, and the time of its newest entry."""
        with self.changed:
            return self._begun_at, self._log[-1].at if self._log else self._begun_at

    def log_after(self, number: int) -> list[LogEntry]:
        """The entries that follow one, oldest first."""
        with self.changed:
            return self._log[max(0, number - self._first + 1) :]

    def databases(self) -> list[str]:
        with self.changed:
            return sorted(self._databases)

    def tables(self, database: str) -> dict[str, int]:
        """Row counts by table name."""
        with self.changed:
            return {name: len(table.rows) for name, table in sorted(self._databases.get(database, {}).items())}

    def key(self, database: str, table: str) -> tuple[str, ...]:
        with self.changed:
            found = self._databases.get(database, {}).get(table)
            return found.key if found is not None else DEFAULT_KEY

    def rows(self, database: str, table: str) -> list[tuple[str, Row]]:
        """Key texts and rows as they are now, in key order."""
        with self.changed:
            found = self._databases.get(database, {}).get(table)
            return sorted(found.rows.items(), key=lambda item: item[0]) if found is not None else []

    def _apply(self, database: str, change: Put | Delete) -> None:
        tables = self._databases.setdefault(database, {})
        table = tables.setdefault(change.table, MemoryTable(DEFAULT_KEY))
        if isinstance(change, Put):
            row = copy.deepcopy(change.row)
            if missing := [name for name in table.key if row.get(name) is None]:
                raise OperatorError("A row lacks its key", remedy=f"Give it {missing[0]!r}", table=change.table)
            key = table.key_of(row)
            table.rows[spell_key(key)] = row
            self._append(database, change.table, key=key, row=row)
            return
        key = change.key if isinstance(change.key, tuple) else (change.key,)
        if table.rows.pop(spell_key(key), None) is not None:
            self._append(database, change.table, key=key)

    def _append(
        self,
        database: str,
        table: str,
        key: tuple[Any, ...] = (),
        row: Row | None = None,
        event: TableEventKind | None = None,
    ) -> None:
        text = spell_key(key) if key else ""
        at = datetime.now(UTC)
        self._log.append(LogEntry(self.end + 1, self._transaction, database, table, at, text, key, row, event))

    def _end(self, database: str, table: str, kind: TableEventKind) -> None:
        with self.changed:
            found = self._databases.get(database, {}).get(table)
            if found is None:
                return
            self._transaction += 1
            if kind is TableEventKind.DROPPED:
                del self._databases[database][table]
            else:
                found.rows.clear()
            self._append(database, table, event=kind)
            self.changed.notify_all()
