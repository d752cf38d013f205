"""What the configuration can say but the product cannot do yet; each line goes when its feature comes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from warp_resources.config.messages import Problem
from warp_resources.config.settings import is_set, value_of

if TYPE_CHECKING:
    from warp_resources.config.layers import Path
    from warp_resources.config.models import WarpConfig


@dataclass(frozen=True, slots=True)
class Unsupported:
    """A key, ``*`` standing for any name, and those of its values that are refused; none means all but ``default``."""

    key: str
    values: frozenset[str] = frozenset()
    default: float | None = None


_POLICIES = frozenset({"freeze", "discard", "quarantine"})
_STRATEGIES = frozenset({"trigger", "hash"})
_ANY_SCHEMA, _ANY_TABLE = "schemas.*", "schemas.*.tables.*"

UNSUPPORTED = (
    Unsupported("source.type", frozenset({"mysql", "mariadb", "bigquery", "dynamodb", "postgresql"})),
    Unsupported("destination.type", frozenset({"bigquery", "mysql"})),
    Unsupported("destination.min_interval"),
    Unsupported("error_handling.max_rejected_share", default=0.1),
    Unsupported("security.encryption_key"),
    Unsupported("deletion_strategy", frozenset({"soft"})),
    Unsupported(f"{_ANY_SCHEMA}.deletion_strategy", frozenset({"soft"})),
    Unsupported(f"{_ANY_TABLE}.deletion_strategy", frozenset({"soft"})),
    Unsupported("source.change_detection.strategy", _STRATEGIES),
    Unsupported(f"{_ANY_SCHEMA}.change_detection.strategy", _STRATEGIES),
    Unsupported(f"{_ANY_TABLE}.change_detection.strategy", _STRATEGIES),
    Unsupported(f"{_ANY_SCHEMA}.contract.new_columns", _POLICIES),
    Unsupported(f"{_ANY_TABLE}.contract.new_columns", _POLICIES),
    Unsupported(f"{_ANY_SCHEMA}.contract.type_changes", _POLICIES | {"json"}),
    Unsupported(f"{_ANY_TABLE}.contract.type_changes", _POLICIES | {"json"}),
    Unsupported(f"{_ANY_SCHEMA}.contract.new_tables", _POLICIES),
    Unsupported(f"{_ANY_TABLE}.contract.new_tables", _POLICIES),
    Unsupported(f"{_ANY_SCHEMA}.json_format", frozenset({"extended"})),
    Unsupported(f"{_ANY_TABLE}.json_format", frozenset({"extended"})),
    Unsupported(f"{_ANY_SCHEMA}.on_source_change", frozenset({"follow", "fail"})),
    Unsupported(f"{_ANY_TABLE}.on_source_change", frozenset({"follow", "fail"})),
    Unsupported(f"{_ANY_TABLE}.columns"),
    Unsupported(f"{_ANY_TABLE}.transform"),
)


def unsupported(config: WarpConfig) -> list[Problem]:
    """Every setting whose feature is not built yet."""
    return [
        Problem(path, f"{value} is not supported yet" if line.values else "is not supported yet")
        for line in UNSUPPORTED
        for path, value in _set_values(config, tuple(line.key.split(".")))
        if _is_refused(line, value)
    ]


def _is_refused(line: Unsupported, value: Any) -> bool:
    if line.values:
        return value in line.values
    return bool(value) if line.default is None else value != line.default


def _set_values(settings: Any, key: Path, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    if not key:
        yield path, settings
    elif key[0] == "*":
        for item in settings:
            yield from _set_values(item, key[1:], (*path, item.name))
    elif isinstance(settings, BaseModel) and is_set(settings, key[0]):
        yield from _set_values(value_of(settings, key[0]), key[1:], (*path, key[0]))
