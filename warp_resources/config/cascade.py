"""What is in effect for a schema or table, after global, schema and table settings are laid together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Literal

from warp_resources.config.models import WarpConfig
from warp_resources.config.resolution import CASCADES, Resolved, Scope, scope_of
from warp_resources.config.tables import ColumnConfig, Partitions
from warp_resources.model.tables import TableId

DEFAULT_SLICES = 8
DEFAULT_WINDOW = "day"

_STRATEGIES = {"stream": frozenset({"log", "trigger"}), "batch": frozenset({"timestamp", "hash", "trigger"})}
_DEFAULT_STRATEGY = {"stream": "log", "batch": "timestamp"}
_BOUNDS = ("stream_batch_size", "full_load_batch_size", "write_batch_size")


@dataclass(frozen=True, slots=True)
class PartitionSettings:
    """The partitions of a table: windows of ``column`` (``by`` is ``time``) or ``slices`` of its keys."""

    by: str
    every: str | None = None
    column: str | None = None
    start: date | None = None
    slices: int | None = None


@dataclass(frozen=True, slots=True)
class TableSettings:
    """What the engine needs to know of one table.

    A batch size of None was not set by the user: the default is a target then, not a bound.
    """

    table: TableId
    mode: str
    strategy: str
    marker_column: str
    marker_timezone: str
    lookback: timedelta
    primary_key: tuple[str, ...] | None
    stream_batch_size: int | None
    full_load_batch_size: int | None
    write_batch_size: int | None
    polling_interval: timedelta
    full_load_enabled: bool
    deletion_strategy: str
    soft_delete_column: str
    partitions: PartitionSettings
    owners: tuple[str, ...]
    tags: Mapping[str, str]
    ignore_type_conversion_errors: bool
    dead_letter_queue: bool
    new_columns: str
    type_changes: str
    new_tables: str
    columns: Mapping[str, ColumnConfig]
    transform: str | None
    max_rejected_share: float
    json_format: str
    on_source_change: str
    destination_schema: str


@dataclass(frozen=True, slots=True)
class SchemaSettings:
    """What the engine needs to know of one schema.

    ``include`` and ``exclude`` are globs over table names, an empty ``include`` meaning all;
    ``exclude`` wins. ``tables`` are those that the configuration names.
    """

    name: str
    database: str
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    destination_schema: str
    mode: str
    schedule: str | None
    max_parallel_streams: int
    tables: tuple[str, ...]


def effective(config: WarpConfig, schema_name: str, table_name: str) -> TableSettings:
    """The settings of a table, whether the configuration names it or not.

    Raises:
        ConfigurationError: no schema has that name.
    """
    found = resolved_settings(config, schema_name, table_name)
    values: dict[str, Any] = {name: one.value for name, one in found.items()}
    for bound in _BOUNDS:
        values[bound] = None if found[bound].is_default else found[bound].value
    return TableSettings(table=TableId(schema_name, table_name), **values)


def resolved_settings(config: WarpConfig, schema_name: str, table_name: str) -> dict[str, Resolved]:
    """The settings of a table with the keys that they came from."""
    scope = scope_of(config, schema_name, table_name)
    found = {name: scope.resolve(name) for name in CASCADES}
    mode = found["mode"].value
    found["strategy"] = scope.nearest("strategy", _STRATEGIES[mode]) or Resolved(_DEFAULT_STRATEGY[mode])
    found["partitions"] = _partitions(scope, mode, found["strategy"].value, found["marker_column"].value)
    if found["destination_schema"].value is None:
        found["destination_schema"] = Resolved(schema_name)
    return found


def schema_settings(config: WarpConfig, schema_name: str) -> SchemaSettings:
    """The settings of a schema.

    Raises:
        ConfigurationError: no schema has that name.
    """
    schema = scope_of(config, schema_name).schema
    return SchemaSettings(
        name=schema.name,
        database=schema.database or config.source.database or schema.name,
        include=schema.table_whitelist,
        exclude=schema.table_blacklist,
        destination_schema=config.destination.schema_name or schema.name,
        mode=schema.mode,
        schedule=schema.schedule,
        max_parallel_streams=schema.max_parallel_streams,
        tables=tuple(table.name for table in schema.tables),
    )


def served_schemas(config: WarpConfig) -> tuple[str, ...]:
    """The schemas that this process serves: one in single mode, else all."""
    if config.mode == "single" and config.single_schema_name:
        return (config.single_schema_name,)
    return tuple(schema.name for schema in config.schemas)


def _partitions(scope: Scope, mode: str, strategy: str, marker_column: str) -> Resolved:
    """Partitions that were set for the other mode, at the level above, are not this table's.

    A batch table that is compared whole has no marker, and slices of its keys as a stream's table has.
    """
    by: Literal["time", "key"] = "time" if mode == "batch" and strategy != "hash" else "key"
    found = scope.resolve("partitions")
    if found.value is None or found.value.by != by:
        found = Resolved(Partitions(by=by))
    chosen: Partitions = found.value
    settings = (
        PartitionSettings(by, chosen.every or DEFAULT_WINDOW, chosen.column or marker_column, chosen.start)
        if by == "time"
        else PartitionSettings(by, slices=chosen.slices or DEFAULT_SLICES)
    )
    return Resolved(settings, found.level, found.path)
