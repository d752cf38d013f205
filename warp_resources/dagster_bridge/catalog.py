"""Finds the tables to show: those configured, those registered, and those that the source has now."""

from __future__ import annotations

import glob
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Generic, TypeVar

import structlog

from warp_resources.config import TableSettings, WarpConfig, effective, schema_settings
from warp_resources.errors import WarpError
from warp_resources.model.tables import TableSchema
from warp_resources.pipeline.engine import units
from warp_resources.pipeline.options import open_destination, open_source

DISCOVERY_SECONDS = 3.0

Answer = TypeVar("Answer")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Table:
    """A table to show; ``stored`` is None until its first row has landed."""

    settings: TableSettings
    stored: TableSchema | None = None

    @property
    def name(self) -> str:
        return self.settings.table.name


def catalog(config: WarpConfig, schemas: tuple[str, ...]) -> dict[str, list[Table]]:
    """The tables of each schema in name order; the databases have three seconds at most to name theirs.

    A database that does not answer in time is a warning: what is configured is shown all the same.
    """
    asked = _Question("destination", lambda: _registered(config, schemas))
    looked = _Question("source", lambda: _discovered(config, schemas))
    deadline = time.monotonic() + DISCOVERY_SECONDS
    registered, discovered = asked.answer(deadline), looked.answer(deadline)
    found: dict[str, list[Table]] = {}
    for schema in schemas:
        stored = registered.get(schema, {})
        names = {*_configured(config, schema), *discovered.get(schema, ()), *stored}
        served = sorted(name for name in names if covers(config, schema, name))
        found[schema] = [Table(effective(config, schema, name), stored.get(name)) for name in served]
    return found


def covers(config: WarpConfig, schema: str, table: str) -> bool:
    """Whether the configuration names a table."""
    return any(unit.scope.covers(table) for unit in units(config, schema))


def _configured(config: WarpConfig, schema: str) -> list[str]:
    """The names that the configuration spells out; a glob names nothing by itself."""
    settings = schema_settings(config, schema)
    return [*settings.tables, *(name for name in settings.include if glob.escape(name) == name)]


# To open a connector loads its driver, and connects nothing: that is this machine's time, not the database's. Where
# the machine is busy it takes seconds, in which all tables would be missing.
def _registered(config: WarpConfig, schemas: tuple[str, ...]) -> Callable[[], dict[str, dict[str, TableSchema]]]:
    destination = open_destination(config)

    def ask() -> dict[str, dict[str, TableSchema]]:
        with closing(destination):
            return {schema: destination.table_schemas(schema) for schema in schemas}

    return ask


def _discovered(config: WarpConfig, schemas: tuple[str, ...]) -> Callable[[], dict[str, list[str]]]:
    source = open_source(config)

    def ask() -> dict[str, list[str]]:
        with closing(source):
            return {
                schema: [found.name for unit in units(config, schema) for found in source.tables(unit.scope)]
                for schema in schemas
            }

    return ask


class _Question(Generic[Answer]):
    """Asks a database in a thread that nobody waits for longer than the deadline."""

    def __init__(self, database: str, prepare: Callable[[], Callable[[], dict[str, Answer]]]) -> None:
        self._database = database
        self._found: dict[str, Answer] | None = None
        self._thread: threading.Thread | None = None
        try:
            ask = prepare()
        except WarpError as error:
            self._warn(error)
            return
        self._thread = threading.Thread(target=self._run, args=[ask], name=f"catalog-{database}", daemon=True)
        self._thread.start()

    def answer(self, deadline: float) -> dict[str, Answer]:
        """What came in time, by schema; empty where nothing did."""
        if self._thread is not None:
            self._thread.join(max(0.0, deadline - time.monotonic()))
            if self._thread.is_alive():
                log.warning("no answer in time, tables may be missing until a reload", database=self._database)
        return self._found or {}

    def _run(self, ask: Callable[[], dict[str, Answer]]) -> None:
        try:
            self._found = ask()
        except WarpError as error:
            self._warn(error)

    def _warn(self, error: WarpError) -> None:
        log.warning("cannot be asked for tables", database=self._database, error=str(error))
