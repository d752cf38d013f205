"""Shows each effective value with the layer and level that it came from, secrets hidden."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from pydantic import SecretStr

from warp_resources.config.cascade import resolved_settings, schema_settings
from warp_resources.config.durations import duration_text
from warp_resources.config.layers import Path
from warp_resources.config.models import WarpConfig
from warp_resources.config.resolution import GLOBAL, SCHEMA, layer_of
from warp_resources.config.settings import Settings, fields_by_key, is_set, value_of
from warp_resources.config.sizes import size_text
from warp_resources.masking import HIDDEN, is_secret_name, mask


class Explained(NamedTuple):
    """One line of ``config show``: ``layer`` is such as ``default`` or ``environment (table)``."""

    key: str
    value: str
    layer: str


_SCHEMA_KEYS = {
    "database": "database",
    "include": "table_whitelist",
    "exclude": "table_blacklist",
    "mode": "mode",
    "schedule": "schedule",
    "max_parallel_streams": "max_parallel_streams",
    "tables": "tables",
}


def explain(config: WarpConfig, schema: str | None = None, table: str | None = None) -> list[Explained]:
    """The effective settings of a table, of a schema, or of the whole.

    Raises:
        ConfigurationError: no schema has that name.
    """
    if schema is None:
        return list(_whole(config, config, ()))
    if table is None:
        return list(_schema(config, schema))
    found = resolved_settings(config, schema, table)
    return [
        Explained(name, text_of(one.value, name), _layer(config, one.path, one.level)) for name, one in found.items()
    ]


def text_of(value: Any, key: str = "") -> str:
    """A value as the file would spell it; hidden where it is a secret."""
    if value is None:
        return "null"
    if isinstance(value, SecretStr) or is_secret_name(key):
        return HIDDEN
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, timedelta):
        return duration_text(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        set_ones = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return text_of({name: its for name, its in set_ones.items() if its is not None})
    if isinstance(value, Settings):
        return text_of(value.model_dump(exclude_none=True))
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {text_of(its, str(name))}" for name, its in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(text_of(item) for item in value) + "]"
    return size_text(value) if key == "max_memory" else mask(str(value))


def _layer(config: WarpConfig, path: Path, level: str) -> str:
    layer = layer_of(config, path)
    return f"{layer} ({level})" if path else layer


def _schema(config: WarpConfig, name: str) -> Iterator[Explained]:
    settings = schema_settings(config, name)
    schema = next(one for one in config.schemas if one.name == name)
    for field, key in _SCHEMA_KEYS.items():
        path: Path = ("schemas", name, key) if is_set(schema, key) else ()
        level = SCHEMA
        if key == "database" and not path and is_set(config.source, "database"):
            path, level = ("source", "database"), GLOBAL
        yield Explained(field, text_of(getattr(settings, field)), _layer(config, path, level))
    path = ("destination", "schema") if is_set(config.destination, "schema") else ()
    yield Explained("destination_schema", settings.destination_schema, _layer(config, path, GLOBAL))


def _whole(config: WarpConfig, settings: Settings, prefix: Path) -> Iterator[Explained]:
    for key in fields_by_key(type(settings)):
        value = value_of(settings, key)
        path = (*prefix, key)
        if path == ("schemas",):
            value = tuple(schema.name for schema in config.schemas)
        if isinstance(value, Settings):
            yield from _whole(config, value, path)
        else:
            yield _line(config, path, value, is_set(settings, key))
    for key, value in (settings.model_extra or {}).items():
        yield _line(config, (*prefix, key), value, True)


def _line(config: WarpConfig, path: Path, value: Any, was_set: bool) -> Explained:
    return Explained(".".join(path), text_of(value, path[-1]), layer_of(config, path if was_set else ()))
