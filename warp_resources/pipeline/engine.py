"""The open connections with which one process serves one schema in one mode."""

from __future__ import annotations

import glob
import threading
import uuid
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial

from warp_resources.config import SchemaSettings, TableSettings, WarpConfig, effective, schema_settings
from warp_resources.connectors.interfaces import Destination, ReadLimits, Source, SourceScope
from warp_resources.errors import ConfigurationError
from warp_resources.failpoints import failpoint
from warp_resources.model.tables import TableId
from warp_resources.pipeline.correlation import correlated
from warp_resources.pipeline.lease import LeaseKeeper
from warp_resources.pipeline.options import open_destination, open_source, open_state, write_interval
from warp_resources.pipeline.preparation import check_preparation
from warp_resources.pipeline.retention import removing_old_metadata
from warp_resources.pipeline.retry import BackoffPolicy
from warp_resources.pipeline.strategies import demand_strategies
from warp_resources.pipeline.writer import Writer

STREAM, BATCH = "stream", "batch"
ANY_TABLE = "\0"
"""Stands for a table that the configuration does not name: what it gives holds for those that come later."""
EVERYTHING = "*"
EXTENDED = "extended"
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
        listed = _listed(settings)
        here = [name for name in settings.tables if self.settings(name).mode == self.mode]
        elsewhere = tuple(glob.escape(name) for name in settings.tables if name not in here)
        whole = replace(self._json_scope(settings), exclude=settings.exclude + elsewhere)
        chosen = self.tables if self.mode != STREAM else ()
        if settings.mode == self.mode and not chosen:
            return whole
        # The lists hold for every mode: what a table's own entry says is how, not whether, it is replicated.
        names = tuple(glob.escape(name) for name in chosen or here if listed.covers(name))
        return replace(whole, include=names) if names else replace(whole, exclude=(EVERYTHING,))

    def _json_scope(self, settings: SchemaSettings) -> SourceScope:
        """All that is listed, with the form of nested values that each table wants."""
        extended = {name: self.settings(name).json_format == EXTENDED for name in (*settings.tables, ANY_TABLE)}
        is_usual = extended.pop(ANY_TABLE)
        others = tuple(glob.escape(name) for name, is_extended in extended.items() if is_extended != is_usual)
        return replace(
            _listed(settings),
            extended_json=(EVERYTHING,) if is_usual else others,
            plain_json=others if is_usual else (),
            keys=declared_keys(self.config, self.schema),
        )

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
    """A unit with its source, destination, leases and writer open.

    ``has_worked``: both sides did their part since; what fails now is no part of an incident before.
    """

    unit: Unit
    source: Source
    destination: Destination
    leases: LeaseKeeper
    writer: Writer
    stop: threading.Event
    run_id: str
    scope: SourceScope = field(init=False)
    has_worked: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.scope = self.unit.scope

    def table(self, name: str) -> TableId:
        return TableId(self.unit.schema, name)

    def now(self) -> datetime:
        """The earlier of the source's clock and ours: a marker of a time to come would hide what is dated before it."""
        return min(self.source.now(), datetime.now(UTC))

    @property
    def min_interval(self) -> timedelta:
        """How often at most a table is written."""
        return write_interval(self.unit.config, self.destination.capabilities)

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
    listed = _listed(settings)
    named = tables or [name for name in settings.tables if listed.covers(name)]
    modes = [settings.mode] if not tables else []
    for name in named:
        mode = effective(config, schema, name).mode
        if mode not in modes:
            modes.append(mode)
    return [
        Unit(config, schema, mode, tuple(name for name in tables if effective(config, schema, name).mode == mode))
        for mode in modes
    ]


def _listed(settings: SchemaSettings) -> SourceScope:
    """What the schema's white- and blacklist cover, in whatever mode."""
    return SourceScope(settings.name, settings.database, settings.include, settings.exclude)


def declared_keys(config: WarpConfig, schema: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The ``primary_key`` of each table that has one, as ``SourceScope.keys`` takes them."""
    named = ((name, effective(config, schema, name).primary_key) for name in schema_settings(config, schema).tables)
    return tuple((glob.escape(name), key) for name, key in named if key is not None)


def check_source(unit: Unit, source: Source, *, known: bool = False) -> None:
    """Reach the source and prove that it can give what the unit wants of it; see ``Source.check``.

    Raises:
        ConfigurationError: a table is to have another key than its rows and deletes come with, or something is to
            be done to its columns that cannot be.
    """
    demand_strategies(unit.config, unit.schema, unit.mode, source.capabilities)
    source.check(unit.scope, log=unit.mode == STREAM, known=known)
    for name in schema_settings(unit.config, unit.schema).tables:
        if unit.scope.covers(name):
            check_preparation(unit.settings(name), partial(source.key, unit.scope, name))
        wanted = unit.settings(name).primary_key
        own = source.key(unit.scope, name) if wanted is not None and unit.scope.covers(name) else None
        if wanted is not None and own is not None and own != wanted:
            raise ConfigurationError(
                f"primary_key of {TableId(unit.schema, name)} is not the key that the source's rows and deletes have",
                remedy=f"Remove primary_key, or set it to [{', '.join(own)}]",
                found=", ".join(wanted),
            )


def open_writer(
    unit: Unit,
    source: Source,
    destination: Destination,
    run_id: str,
    *,
    warns: bool,
    scope: SourceScope | None = None,
) -> Writer:
    """A writer of a unit's batches; ``scope``: what records are redacted by, the unit's own by default."""
    return Writer(
        destination,
        unit.schema,
        schema_settings(unit.config, unit.schema).destination_schema,
        unit.settings,
        run_id,
        warns=warns,
        redact=partial(source.redact, scope or unit.scope),
    )


@contextmanager
def open_engine(
    unit: Unit, stop: threading.Event, run_id: str | None = None, *, is_helper: bool = False
) -> Iterator[Engine]:
    """Open a unit: connections tested, metadata made or migrated. Closes everything at the end.

    Args:
        is_helper: another process has the unit open too, and sees to old metadata.
    """
    config, run_id = unit.config, run_id or str(uuid.uuid4())
    with ExitStack() as opened:
        opened.enter_context(correlated(config, run_id=run_id, schema=unit.schema))
        source = opened.enter_context(closing(open_source(config)))
        destination = opened.enter_context(closing(open_destination(config)))
        stored_schema = schema_settings(config, unit.schema).destination_schema
        destination.check([stored_schema])
        check_source(unit, source, known=bool(destination.table_states(unit.schema)))
        destination.prepare()
        leases = opened.enter_context(closing(LeaseKeeper(partial(open_state, config, destination), str(unit))))
        warns = config.error_handling.log_conversion_warnings
        writer = open_writer(unit, source, destination, run_id, warns=warns)
        if not is_helper:
            opened.enter_context(removing_old_metadata(config))
        failpoint("engine.opened")
        yield Engine(unit, source, destination, leases, writer, stop, run_id)
