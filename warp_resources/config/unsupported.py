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
    """A key, ``*`` standing for any name, and those of its values that are refused; none means all."""

    key: str
    values: frozenset[str] = frozenset()


_STRATEGIES = frozenset({"trigger"})
_ANY_SCHEMA, _ANY_TABLE = "schemas.*", "schemas.*.tables.*"

UNSUPPORTED = (
    Unsupported("source.type", frozenset({"mysql", "mariadb", "dynamodb", "postgresql"})),
    Unsupported("destination.type", frozenset({"mysql", "mariadb"})),
    Unsupported("security.encryption_key"),
    Unsupported("source.change_detection.strategy", _STRATEGIES),
    Unsupported(f"{_ANY_SCHEMA}.change_detection.strategy", _STRATEGIES),
    Unsupported(f"{_ANY_TABLE}.change_detection.strategy", _STRATEGIES),
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
    return bool(value)


def _set_values(settings: Any, key: Path, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    if not key:
        yield path, settings
    elif key[0] == "*":
        for item in settings:
            yield from _set_values(item, key[1:], (*path, item.name))
    elif isinstance(settings, BaseModel) and is_set(settings, key[0]):
        yield from _set_values(value_of(settings, key[0]), key[1:], (*path, key[0]))
