"""The open connections with which one process serves one schema in one mode."""

from __future__ import annotations

import glob
import threading
import uuid
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from warp_resources.config import TableSettings, WarpConfig, effective, schema_settings
from warp_resources.connectors.interfaces import Destination, ReadLimits, Source, SourceScope
from warp_resources.model.tables import TableId
from warp_resources.pipeline.lease import LeaseKeeper
from warp_resources.pipeline.options import open_destination, open_source
from warp_resources.pipeline.retry import BackoffPolicy
from warp_resources.pipeline.writer import Writer

STREAM, BATCH = "stream", "batch"
ANY_TABLE = "\0"
"""Stands for a table that the configuration does not name: what it gives holds for those that come later."""
BASE_MEMORY_BYTES = 170 * 2**20
"""What an engine process weighs before it holds a row: the interpreter and its libraries."""
EXPANSION = 24
"""Bytes of memory that a byte of source data takes while it is decoded, read ahead and written."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One schema in one mode, perhaps only some of its tables: what one engine process serves."""

    config: WarpConfig
    schema: str
    mode: str
    tables: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.schema} ({self.mode})"

    def settings(self, table: str) -> TableSettings:
        return effective(self.config, self.schema, table)

    def is_chosen(self, table: str) -> bool:
        """Whether this run is to begin or resync a table; what a stream already covers goes on anyway."""
        return not self.tables or table in self.tables

    @property
    def scope(self) -> SourceScope:
        """The tables of the schema that this unit's mode covers.

        A stream has one position for all its tables, so it cannot leave any of them behind.
        """
        settings = schema_settings(self.config, self.schema)
        here = tuple(name for name in settings.tables if self.settings(name).mode == self.mode)
        elsewhere = tuple(glob.escape(name) for name in settings.tables if name not in here)
        include = settings.include if settings.mode == self.mode else tuple(map(glob.escape, here))
        if self.tables and self.mode != STREAM:
            include = tuple(map(glob.escape, self.tables))
        return SourceScope(self.schema, settings.database, include, settings.exclude + elsewhere)

    @property
    def max_bytes(self) -> int:
        """Source bytes of one cut or chunk, so that the process stays within ``max_memory``."""
        spare = self.config.performance.max_memory - BASE_MEMORY_BYTES
        return max(2**20, spare // EXPANSION)

    @property
    def backoff(self) -> BackoffPolicy:
        policy = self.config.error_handling
        return BackoffPolicy(policy.max_retries, policy.backoff_factor, policy.max_backoff_seconds)


@dataclass(slots=True)
class Engine:
    """A unit with its source, destination, leases and writer open."""

    unit: Unit
    source: Source
    destination: Destination
    leases: LeaseKeeper
    writer: Writer
    stop: threading.Event
    run_id: str
    scope: SourceScope = field(init=False)

    def __post_init__(self) -> None:
        self.scope = self.unit.scope

    def table(self, name: str) -> TableId:
        return TableId(self.unit.schema, name)

    def stream_limits(self, tables: Collection[str]) -> ReadLimits:
        """A size that the user set is a hard bound (C3): the smallest of all tables that are named or covered."""
        named = {*tables, *schema_settings(self.unit.config, self.unit.schema).tables, ANY_TABLE}
        chosen = [self.unit.settings(name) for name in named]
        return self._limits(size for its in chosen for size in (its.stream_batch_size, its.write_batch_size))

    def chunk_limits(self, table: str) -> ReadLimits:
        its = self.unit.settings(table)
        return self._limits((its.full_load_batch_size, its.write_batch_size))

    def _limits(self, sizes: Iterable[int | None]) -> ReadLimits:
        return ReadLimits(min((size for size in sizes if size is not None), default=None), self.unit.max_bytes)


def units(config: WarpConfig, schema: str, tables: tuple[str, ...] = ()) -> list[Unit]:
    """The modes that occur in a schema, each as a unit, the schema's own mode first."""
    settings = schema_settings(config, schema)
    named = tables or settings.tables
    modes = [settings.mode] if not tables else []
    for name in named:
        mode = effective(config, schema, name).mode
        if mode not in modes:
            modes.append(mode)
    return [
        Unit(config, schema, mode, tuple(name for name in tables if effective(config, schema, name).mode == mode))
        for mode in modes
    ]


@contextmanager
def open_engine(unit: Unit, stop: threading.Event, run_id: str | None = None) -> Iterator[Engine]:
    """Open a unit: connections tested, metadata made or migrated. Closes everything at the end."""
    source, destination = open_source(unit.config), open_destination(unit.config)
    leases: LeaseKeeper | None = None
    try:
        destination.check()
        source.check(unit.scope, log=unit.mode == STREAM, known=bool(destination.table_states(unit.schema)))
        destination.prepare()
        leases = LeaseKeeper(destination.state_store, label=str(unit))
        run_id = run_id or str(uuid.uuid4())
        stored_schema = schema_settings(unit.config, unit.schema).destination_schema
        writer = Writer(destination, unit.schema, stored_schema, unit.settings, run_id)
        yield Engine(unit, source, destination, leases, writer, stop, run_id)
    finally:
        if leases is not None:
            leases.close()
        destination.close()
        source.close()
