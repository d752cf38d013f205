"""Finds the setting that wins for a table: the nearest level, and there the most specific key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from warp_resources.config.layers import CODE, DEFAULT, LAYERS, Path
from warp_resources.config.models import WarpConfig
from warp_resources.config.settings import Settings, is_set, value_of
from warp_resources.config.tables import SchemaConfig, TableConfig
from warp_resources.errors import ConfigurationError

GLOBAL, SCHEMA, TABLE = "global", "schema", "table"


@dataclass(frozen=True, slots=True)
class Cascade:
    """The keys that decide a setting, per level and best first, and what holds where none is set."""

    table: tuple[str, ...] = ()
    schema: tuple[str, ...] = ()
    root: tuple[str, ...] = ()
    default: Any = None


def _below(*keys: str, root: tuple[str, ...] = (), default: Any = None) -> Cascade:
    """A setting that has the same keys in a table and in a schema."""
    return Cascade(keys, keys, root, default)


CASCADES: Mapping[str, Cascade] = {
    "mode": _below("mode", default="stream"),
    "strategy": _below("change_detection.strategy", root=("source.change_detection.strategy",)),
    "marker_column": _below("change_detection.column", root=("source.change_detection.column",)),
    "marker_timezone": _below(
        "change_detection.timezone", root=("source.change_detection.timezone", "source.timezone")
    ),
    "lookback": _below("change_detection.lookback", root=("source.change_detection.lookback",)),
    "primary_key": Cascade(("primary_key",)),
    "stream_batch_size": Cascade(
        ("stream_batch_size", "batch_size"),
        ("stream_batch_size", "default_batch_size"),
        ("performance.stream_batch_size",),
    ),
    "full_load_batch_size": _below("full_load_batch_size", root=("performance.full_load_batch_size",)),
    "write_batch_size": Cascade(
        ("write_batch_size", "batch_size"),
        ("write_batch_size", "default_batch_size"),
        ("performance.write_batch_size", "destination.batch_size"),
    ),
    "polling_interval": _below("polling_interval", root=("performance.polling_interval",)),
    "full_load_enabled": _below("full_load_enabled", default=True),
    "deletion_strategy": _below("deletion_strategy", root=("deletion_strategy",)),
    "soft_delete_column": _below("soft_delete_column", root=("soft_delete_column",)),
    "partitions": _below("partitions"),
    "owners": _below("owners", default=()),
    "tags": _below("tags", default={}),
    "ignore_type_conversion_errors": Cascade(root=("error_handling.ignore_type_conversion_errors",)),
    "dead_letter_queue": Cascade(root=("error_handling.dead_letter_queue",)),
    "new_columns": _below("contract.new_columns", default="evolve"),
    "type_changes": _below("contract.type_changes", default="evolve"),
    "new_tables": _below("contract.new_tables", default="evolve"),
    "columns": Cascade(("columns",), default={}),
    "transform": Cascade(("transform",)),
    "max_rejected_share": Cascade(root=("error_handling.max_rejected_share",)),
    "json_format": _below("json_format", default="plain"),
    "on_source_change": _below("on_source_change", default="keep"),
    "destination_schema": Cascade(root=("destination.schema",)),
}


@dataclass(frozen=True, slots=True)
class Resolved:
    """A value with the level and the key that it was set at; no path means that it is a default."""

    value: Any
    level: str = ""
    path: Path = ()

    @property
    def is_default(self) -> bool:
        return not self.path


@dataclass(frozen=True, slots=True)
class Scope:
    """The levels that one table has: itself where it is configured, its schema, the whole."""

    config: WarpConfig
    schema: SchemaConfig
    table: TableConfig | None

    def resolve(self, setting: str) -> Resolved:
        """The nearest value of a setting of ``CASCADES`` that the user has set, else its default."""
        return next(self._set(setting), None) or Resolved(_default(self.config, CASCADES[setting]))

    def nearest(self, setting: str, allowed: frozenset[object]) -> Resolved | None:
        """The nearest value that is among ``allowed``: others were set for tables of another mode."""
        return next((found for found in self._set(setting) if found.value in allowed), None)

    def _set(self, setting: str) -> Iterator[Resolved]:
        for level, settings, path, keys in self._levels(CASCADES[setting]):
            for key in keys:
                found = _value_set(settings, key)
                if found is not None:
                    yield Resolved(found, level, (*path, *key.split(".")))

    def _levels(self, cascade: Cascade) -> Iterator[tuple[str, Settings, Path, tuple[str, ...]]]:
        path = ("schemas", self.schema.name)
        if self.table is not None:
            yield TABLE, self.table, (*path, "tables", self.table.name), cascade.table
        yield SCHEMA, self.schema, path, cascade.schema
        yield GLOBAL, self.config, (), cascade.root


def scope_of(config: WarpConfig, schema: str, table: str = "") -> Scope:
    """The levels of a table.

    Raises:
        ConfigurationError: no schema has that name.
    """
    found = next((one for one in config.schemas if one.name == schema), None)
    if found is None:
        names = ", ".join(one.name for one in config.schemas)
        raise ConfigurationError(f"No schema is called {schema!r}", remedy=f"Configured: {names}")
    return Scope(config, found, next((one for one in found.tables if one.name == table), None))


def layer_of(config: WarpConfig, path: Path) -> str:
    """The layer that set a key: file, environment or flag; code where none was loaded."""
    if not path:
        return DEFAULT
    if config.origins is None:
        return CODE
    # A mapping has its origins within: the topmost layer that touched it counts.
    layers = {origin.layer for key, origin in config.origins.items() if key[: len(path)] == path}
    return max(layers, key=LAYERS.index, default=DEFAULT)


def _value_set(settings: Settings, dotted: str) -> Any:
    value: Any = settings
    for key in dotted.split("."):
        if not is_set(value, key):
            return None
        value = value_of(value, key)
    return value


def _default(config: WarpConfig, cascade: Cascade) -> Any:
    if cascade.default is not None or not cascade.root:
        return cascade.default
    value: Any = config
    for key in cascade.root[0].split("."):
        value = value_of(value, key)
    return value
