"""Reaches each connector's server beside the connector, so that a contract test can look and touch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from pymongo import MongoClient

from warp_resources.connectors.bigquery.options import BigQueryOptions
from warp_resources.connectors.bigquery.session import Session
from warp_resources.connectors.interfaces import Destination, Source, SourceScope, StateStore
from warp_resources.connectors.memory.destination import MemoryDestination, MemoryOptions
from warp_resources.connectors.memory.server import MemoryServer
from warp_resources.connectors.memory.source import MemorySource, MemorySourceOptions
from warp_resources.connectors.memory.store import MemoryStore
from warp_resources.connectors.registry import destination_class, source_class
from warp_resources.model.tables import TableId


class DestinationLab(ABC):
    """Opens destinations on one server and reads what they left there.

    ``pays_by_statement``: old metadata goes in as few statements as can be, and a run is kept apart for an hour first.
    """

    pays_by_statement: ClassVar[bool] = False

    def __init__(self) -> None:
        self._opened: list[Destination] = []

    def open(self) -> Destination:
        """One more destination, as another process would have it."""
        made = self.make()
        self._opened.append(made)
        made.prepare()
        return made

    def close(self) -> None:
        for destination in self._opened:
            destination.close()

    def state_store(self) -> StateStore:
        return self.open().state_store()

    @abstractmethod
    def make(self) -> Destination:
        """A destination on the server, which may not be prepared yet."""

    @abstractmethod
    def rows(self, table: TableId) -> dict[Any, dict[str, Any]]:
        """Rows by key ``id``, with ``_warp_sequence``."""

    @abstractmethod
    def deletion_count(self, table: TableId) -> int: ...

    @abstractmethod
    def deletion_strategies(self, table: TableId) -> list[str]:
        """How each row of ``deletion_log`` says that its row was deleted, sorted."""

    @abstractmethod
    def letter_statuses(self, table: TableId) -> list[str]: ...

    @abstractmethod
    def error_types(self, table: TableId) -> list[str]: ...

    @abstractmethod
    def run(self, run_id: str) -> dict[str, Any]:
        """The row of ``sync_runs``."""


class MemoryDestinationLab(DestinationLab):
    def __init__(self, name: str) -> None:
        super().__init__()
        self._options = MemoryOptions(store=name)
        self._name = name

    def make(self) -> MemoryDestination:
        return MemoryDestination(self._options)

    def close(self) -> None:
        super().close()
        MemoryStore.forget(self._name)

    def rows(self, table: TableId) -> dict[Any, dict[str, Any]]:
        return {row["id"]: row for row in self.make().rows(table)}

    def deletion_count(self, table: TableId) -> int:
        return len(self.deletion_strategies(table))

    def deletion_strategies(self, table: TableId) -> list[str]:
        deletions = self.make().store.contents.deletions
        return sorted(deletion.strategy for deletion in deletions if deletion.table == table)

    def letter_statuses(self, table: TableId) -> list[str]:
        return sorted(kept.status for kept in self.make().store.contents.letters if kept.letter.table == table)

    def error_types(self, table: TableId) -> list[str]:
        errors = self.make().store.contents.errors
        return sorted(error.entry.error_type for error in errors if error.entry.table == table)

    def run(self, run_id: str) -> dict[str, Any]:
        (found,) = [run for run in self.make().store.contents.runs.values() if run.run_id == run_id]
        names = ("status", "mode", "rows_written", "rows_deleted", "error")
        return {name: getattr(found, name) for name in names}


class PostgresDestinationLab(DestinationLab):
    def __init__(self, uri: str) -> None:
        super().__init__()
        self._uri = uri

    def make(self) -> Destination:
        cls = destination_class("postgresql")
        return cls(cls.Options(connection_string=self._uri))

    def rows(self, table: TableId) -> dict[Any, dict[str, Any]]:
        statement = sql.SQL("select * from {}").format(sql.Identifier(table.schema, table.name))
        return {row["id"]: row for row in self._read(statement)}

    def deletion_count(self, table: TableId) -> int:
        return len(self._metadata("deletion_log", table))

    def deletion_strategies(self, table: TableId) -> list[str]:
        return sorted(row["strategy"] for row in self._metadata("deletion_log", table))

    def letter_statuses(self, table: TableId) -> list[str]:
        return sorted(row["status"] for row in self._metadata("dead_letters", table))

    def error_types(self, table: TableId) -> list[str]:
        return sorted(row["error_type"] for row in self._metadata("error_log", table))

    def run(self, run_id: str) -> dict[str, Any]:
        statement = sql.SQL("select * from cartridge_warp_metadata.sync_runs where run_id = %s")
        (found,) = self._read(statement, run_id)
        return found

    def _metadata(self, name: str, table: TableId) -> list[dict[str, Any]]:
        statement = sql.SQL("select * from {} where schema_name = %s and table_name = %s")
        return self._read(statement.format(sql.Identifier("cartridge_warp_metadata", name)), table.schema, table.name)

    def _read(self, statement: sql.Composable, *values: object) -> list[dict[str, Any]]:
        with psycopg.connect(self._uri, row_factory=dict_row) as connection:
            return connection.execute(statement, values).fetchall()


class SourceLab(ABC):
    """Opens sources on one server and changes its rows, whose key is ``_id``.

    ``mixes_types``: one column may hold values of several types.
    """

    mixes_types = True

    def __init__(self, database: str) -> None:
        self.database = database
        self._opened: list[Source] = []

    def open(self) -> Source:
        made = self.make()
        self._opened.append(made)
        return made

    def close(self) -> None:
        for source in self._opened:
            source.close()

    def scope(self, *include: str, exclude: tuple[str, ...] = ()) -> SourceScope:
        return SourceScope("shop", self.database, include, exclude)

    @abstractmethod
    def make(self) -> Source: ...

    @abstractmethod
    def put(self, table: str, *rows: dict[str, Any]) -> None: ...

    @abstractmethod
    def delete(self, table: str, *keys: Any) -> None: ...

    @abstractmethod
    def drop(self, table: str) -> None: ...


class MemorySourceLab(SourceLab):
    def __init__(self, name: str) -> None:
        super().__init__("shop_db")
        self._name = name
        self._server = MemoryServer.named(name)
        self._server.create_table(self.database, "existing")

    def make(self) -> MemorySource:
        return MemorySource(MemorySourceOptions(server=self._name))

    def close(self) -> None:
        super().close()
        MemoryServer.forget(self._name)

    def put(self, table: str, *rows: dict[str, Any]) -> None:
        for row in rows:
            self._server.put(self.database, table, row)

    def delete(self, table: str, *keys: Any) -> None:
        self._server.delete(self.database, table, *keys)

    def drop(self, table: str) -> None:
        self._server.drop_table(self.database, table)


class MongoSourceLab(SourceLab):
    def __init__(self, client: MongoClient[dict[str, Any]], name: str, uri: str) -> None:
        super().__init__(name)
        self._uri = uri
        self._tables = client[name]
        self._tables.create_collection("existing")

    def make(self) -> Source:
        cls = source_class("mongodb")
        return cls(cls.Options(connection_string=self._uri))

    def put(self, table: str, *rows: dict[str, Any]) -> None:
        for row in rows:
            self._tables[table].replace_one({"_id": row["_id"]}, row, upsert=True)

    def delete(self, table: str, *keys: Any) -> None:
        for key in keys:
            self._tables[table].delete_one({"_id": key})

    def drop(self, table: str) -> None:
        self._tables[table].drop()


class BigQueryDestinationLab(DestinationLab):
    pays_by_statement = True

    def __init__(self, options: dict[str, Any], state_file: str) -> None:
        super().__init__()
        self._options = {**options, "state_file": state_file}

    def make(self) -> Destination:
        cls = destination_class("bigquery")
        return cls(cls.Options(**self._options))

    def rows(self, table: TableId) -> dict[Any, dict[str, Any]]:
        return {row["id"]: row for row in self._read(f"select * from `{table.schema}`.`{table.name}`")}

    def deletion_count(self, table: TableId) -> int:
        return len(self._metadata("deletion_log", table))

    def deletion_strategies(self, table: TableId) -> list[str]:
        return sorted(row["strategy"] for row in self._metadata("deletion_log", table))

    def letter_statuses(self, table: TableId) -> list[str]:
        return sorted(row["status"] for row in self._metadata("dead_letters", table))

    def error_types(self, table: TableId) -> list[str]:
        return sorted(row["error_type"] for row in self._metadata("error_log", table))

    def run(self, run_id: str) -> dict[str, Any]:
        (found,) = self._read(f"select * from cartridge_warp_metadata.sync_runs where run_id = '{run_id}'")
        return found

    def _metadata(self, name: str, table: TableId) -> list[dict[str, Any]]:
        where = f"schema_name = '{table.schema}' and table_name = '{table.name}'"
        return self._read(f"select * from cartridge_warp_metadata.{name} where {where}")

    def _read(self, statement: str) -> list[dict[str, Any]]:
        session = Session(BigQueryOptions(**{key: its for key, its in self._options.items() if key in _SHARED}))
        try:
            return [dict(row.items()) for row in session.run(statement)]
        finally:
            session.close()


_SHARED = set(BigQueryOptions.model_fields)
