"""The other names that some keys go by, and the one shape that everything is brought into."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from pydantic_core import PydanticCustomError

Tree: TypeAlias = dict[str, Any]
"""A configuration as a file has it: mappings, lists and scalars, not validated yet."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where an alias leads: from the same section, or ``from_root`` of the file.

    ``values`` are the values that are spelled otherwise under the alias.
    """

    path: tuple[str, ...]
    values: Mapping[object, object] = field(default_factory=dict)
    from_root: bool = False


SOURCE, SCHEMA, MONITORING = "source", "schemas", "monitoring"

ALIASES: Mapping[str, Mapping[str, Target]] = {
    SOURCE: {"change_detection_strategy": Target(("change_detection", "strategy"), {"change_stream": "log"})},
    SCHEMA: {
        "batch_size": Target(("default_batch_size",)),
        "include": Target(("table_whitelist",)),
        "exclude": Target(("table_blacklist",)),
    },
    MONITORING: {
        "metrics_enabled": Target(("prometheus", "enabled")),
        "metrics_port": Target(("prometheus", "port")),
        "prometheus_endpoint": Target(("prometheus", "path")),
        "log_level": Target(("logging", "level"), from_root=True),
        "structured_logging": Target(
            ("logging", "format"),
            {True: "structured", False: "plain", "true": "structured", "false": "plain"},
            from_root=True,
        ),
    },
}


def rename(section: str, data: Mapping[str, Any]) -> Tree:
    """A section whose aliases have become the keys they stand for.

    Raises:
        PydanticCustomError: an alias and its key are both set, to different values.
    """
    result = dict(data)
    for alias, target in ALIASES[section].items():
        if alias in result and not target.from_root:
            _put(result, target, result.pop(alias), f"{alias} is another name for {'.'.join(target.path)}")
    return result


def canonical(data: Mapping[str, Any]) -> Tree:
    """A whole configuration without aliases, its tables as lists; what is malformed stays as it is."""
    result = dict(data)
    for section in (SOURCE, MONITORING):
        if isinstance(result.get(section), Mapping):
            result[section] = rename(section, result[section])
    _move_to_root(result)
    if isinstance(result.get(SCHEMA), list | tuple):
        result[SCHEMA] = [canonical_schema(one) if isinstance(one, Mapping) else one for one in result[SCHEMA]]
    return result


def canonical_schema(data: Mapping[str, Any]) -> Tree:
    """One schema without aliases, its tables as a list."""
    result = rename(SCHEMA, data)
    if isinstance(result.get("tables"), Mapping):
        result["tables"] = [_named(name, table) for name, table in result["tables"].items()]
    return result


def _named(name: object, table: object) -> object:
    if not isinstance(name, str):
        raise PydanticCustomError("table_name", f"table names are texts: write {str(name)!r} in quotes")
    if table is None:
        return {"name": name}
    if not isinstance(table, Mapping):
        return table
    if table.get("name", name) != name:
        raise PydanticCustomError("table_name", f"the table {name!r} also says name: {table['name']!r}")
    return {"name": name, **table}


def _move_to_root(data: Tree) -> None:
    for section, aliases in ALIASES.items():
        for alias, target in aliases.items():
            if target.from_root and isinstance(data.get(section), Mapping) and alias in data[section]:
                data[section] = dict(data[section])
                value = data[section].pop(alias)
                _put(data, target, value, f"{section}.{alias} is another name for {'.'.join(target.path)}")


def _put(data: Tree, target: Target, value: object, reason: str) -> None:
    if value is None:
        return
    spelling = value.lower() if isinstance(value, str) else value
    if isinstance(spelling, bool | str):
        value = target.values.get(spelling, value)
    *sections, key = target.path
    for section in sections:
        inner = data.get(section)
        if inner is not None and not isinstance(inner, Mapping):
            return
        data[section] = dict(inner or {})
        data = data[section]
    if data.get(key) not in (None, value):
        raise PydanticCustomError("alias", f"both are set: {reason}")
    data[key] = value
