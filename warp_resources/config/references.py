"""Replaces ``${NAME}`` and ``${NAME:-default}`` in the texts of a file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from warp_resources.config.aliases import Tree
from warp_resources.config.layers import Path, Referenced, is_named
from warp_resources.config.messages import Problem

# `$${` is a literal `${`; the last alternative catches what only looks like a reference.
_REFERENCE = re.compile(r"\$\$\{|\$\{([A-Za-z_]\w*)(?::-([^}]*))?\}|\$\{[^}]*\}?", re.ASCII)

Lookup: TypeAlias = Callable[[str], str | None]
"""Gives the value of a variable, None where it is not set."""


@dataclass(frozen=True, slots=True)
class Unresolved:
    """Stands for a text that cannot be resolved, in case another layer replaces it."""

    problem: str


def resolved(value: Any, lookup: Lookup) -> Any:
    """A tree in which each text is resolved or, where that is impossible, ``Unresolved``."""
    if isinstance(value, Mapping):
        return {key: resolved(its, lookup) for key, its in value.items()}
    if isinstance(value, list):
        return [resolved(item, lookup) for item in value]
    if isinstance(value, str) and "${" in value:
        return _resolved_text(value, lookup)
    return value


def unresolved(tree: Tree) -> list[Problem]:
    """The references that nothing resolved."""
    return [Problem(path, left.problem) for path, left in _left(tree, ())]


def _resolved_text(text: str, lookup: Lookup) -> str | Unresolved:
    parts: list[str] = []
    end = 0
    for match in _REFERENCE.finditer(text):
        parts.append(text[end : match.start()])
        end = match.end()
        if match[0] == "$${":
            parts.append("${")
            continue
        if match[1] is None:
            return Unresolved("found a ${ that is no reference; ${NAME}, ${NAME:-default} or $${ is allowed")
        # As in a shell, `:-` also replaces what is set but empty.
        found = lookup(match[1])
        if match[2] is not None:
            found = found or match[2]
        if found is None:
            name = match[1]
            return Unresolved(f"the environment variable {name} is not set; set it, or write ${{{name}:-default}}")
        parts.append(found)
    result = Referenced("".join(parts) + text[end:])
    result.reference = " ".join(f"${{{match[1]}}}" for match in _REFERENCE.finditer(text) if match[1])
    return result if result.reference else str(result)


def _left(value: Any, path: Path) -> Iterator[tuple[Path, Unresolved]]:
    if isinstance(value, Unresolved):
        yield path, value
    elif isinstance(value, Mapping):
        for key, its in value.items():
            yield from _left(its, (*path, str(key)))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _left(item, (*path, item["name"] if is_named(value) else str(index)))
