"""Keeps the temporary tables of a connection into which COPY writes before anything is locked."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TypeAlias

from psycopg import sql

from warp_resources.connectors.postgresql.session import Connection, Session

Layout: TypeAlias = tuple[str, ...]
"""The types of the columns c0, c1, ..."""

_MOST_TABLES = 200
# Deleting few rows is cheaper than truncating; what they leave behind is truncated away now and then.
# (`on commit delete rows` truncates every such table of the session at every commit: 0.2 ms each.)
_MOST_DEAD_ROWS = 2_000


@dataclass(slots=True)
class StagingTable:
    """A temporary table with the columns c0, c1, ...; empty between transactions."""

    name: str
    layout: Layout
    dead_rows: int = 0

    @property
    def identifier(self) -> sql.Identifier:
        return sql.Identifier("pg_temp", self.name)


class StagingTables:
    """The staging tables of one session by layout; forgotten when its connection is replaced."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._serial = session.serial
        self._tables: OrderedDict[tuple[Layout, int], StagingTable] = OrderedDict()
        self._in_use: list[tuple[StagingTable, int]] = []
        self._count = 0

    def reserve(self, connection: Connection, layouts: list[Layout]) -> list[StagingTable]:
        """An empty table for each layout, none twice; call it outside a transaction."""
        if self._serial != self._session.serial:
            self._tables.clear()
            self._serial = self._session.serial
        for table, rows in self._in_use:
            table.dead_rows += rows  # Of a transaction that was rolled back.
        self._in_use.clear()
        used: dict[Layout, int] = {}
        reserved = []
        for layout in layouts:
            used[layout] = used.get(layout, -1) + 1
            reserved.append(self._table(connection, layout, used[layout]))
        self._forget_oldest(connection, keep=len(layouts))
        return reserved

    def filled(self, table: StagingTable, rows: int) -> None:
        """Note that a table holds rows, which ``empty`` has to remove."""
        self._in_use.append((table, rows))

    def empty(self, connection: Connection) -> None:
        """Remove the staged rows, in the transaction that used them."""
        for table, rows in self._in_use:
            is_full = table.dead_rows + rows > _MOST_DEAD_ROWS
            connection.execute(sql.SQL("truncate {}" if is_full else "delete from {}").format(table.identifier))
            table.dead_rows = 0 if is_full else table.dead_rows + rows
        self._in_use.clear()

    def _table(self, connection: Connection, layout: Layout, turn: int) -> StagingTable:
        table = self._tables.get((layout, turn))
        if table is None:
            self._count += 1
            table = StagingTable(f"_warp_staging_{self._count}", layout)
            connection.execute(create_staging(table))
            self._tables[layout, turn] = table
        self._tables.move_to_end((layout, turn))
        return table

    def _forget_oldest(self, connection: Connection, keep: int) -> None:
        while len(self._tables) > max(_MOST_TABLES, keep):
            _, table = self._tables.popitem(last=False)
            connection.execute(sql.SQL("drop table {}").format(table.identifier))


def create_staging(table: StagingTable) -> sql.Composed:
    """Make a staging table; the types are ours, from ``types.staging_type``."""
    columns = [
        sql.SQL("{} {}").format(sql.Identifier(f"c{index}"), sql.SQL(name)) for index, name in enumerate(table.layout)
    ]
    return sql.SQL("create temporary table {} ({})").format(sql.Identifier(table.name), sql.SQL(", ").join(columns))
