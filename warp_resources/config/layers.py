"""Lays one layer of configuration over another, with a note of where each value came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeGuard

from pydantic_core import PydanticCustomError

from warp_resources.config.aliases import Tree, canonical
from warp_resources.errors import ConfigurationError

Path: TypeAlias = tuple[str, ...]
"""A key by its way from the root; items of a list of named things go by their names."""

DEFAULT, FILE, ENVIRONMENT, FLAG, CODE = "default", "file", "environment", "flag", "code"
LAYERS = (DEFAULT, FILE, ENVIRONMENT, FLAG)


@dataclass(frozen=True, slots=True)
class Origin:
    """The layer of a value and, in ``detail``, the variable that it was set or referenced by."""

    layer: str
    detail: str = ""
    is_reference: bool = False


class Referenced(str):
    """A text of the file in which ``${NAME}`` was replaced; ``reference`` is what the file says."""

    reference: str = ""


@dataclass(frozen=True, slots=True)
class Layers:
    """The layers as one: what they say together, and the origin of each value by its path."""

    tree: Tree = field(default_factory=dict)
    origins: Mapping[Path, Origin] = field(default_factory=dict)

    def over(self, tree: Tree, origin: Origin, where: str) -> Layers:
        """These layers with another on top, without aliases; ``where`` is what an error calls it.

        Raises:
            ConfigurationError: the layer contradicts itself.
        """
        tree = _one_shape(tree, where)
        return Layers(_merged(self.tree, tree), {**self.origins, **dict(_origins(tree, origin))})


def is_named(items: Any) -> TypeGuard[Sequence[Mapping[str, Any]]]:
    """Whether a list is addressed by the names of its items."""
    return (
        isinstance(items, list | tuple)
        and bool(items)
        and all(isinstance(item, Mapping) and isinstance(item.get("name"), str) for item in items)
    )


def _merged(below: Any, above: Any) -> Any:
    if isinstance(below, Mapping) and isinstance(above, Mapping):
        return {**below, **{key: _merged(below.get(key), its) for key, its in above.items()}}
    if isinstance(below, list | tuple) and is_named(above):
        return _merged_by_name(below, above)
    return above


def _merged_by_name(below: Sequence[Any], above: Sequence[Mapping[str, Any]]) -> list[Any]:
    result = list(below)
    for item in above:
        index = next((index for index, known in enumerate(result) if _name(known) == item["name"]), None)
        if index is None:
            result.append(item)
        else:
            result[index] = _merged(result[index], item)
    return result


def _name(item: Any) -> Any:
    return item.get("name") if isinstance(item, Mapping) else None


def _one_shape(tree: Tree, where: str) -> Tree:
    try:
        return canonical(tree)
    except PydanticCustomError as error:
        problem = error.message()
    raise ConfigurationError(f"{where} has a problem: {problem}")


def _origins(value: Any, origin: Origin, path: Path = ()) -> Iterator[tuple[Path, Origin]]:
    if isinstance(value, Mapping):
        for key, its in value.items():
            yield from _origins(its, origin, (*path, str(key)))
    elif is_named(value):
        for item in value:
            yield from _origins(item, origin, (*path, item["name"]))
    elif isinstance(value, Referenced):
        yield path, Origin(origin.layer, value.reference, is_reference=True)
    else:
        yield path, origin
        if isinstance(value, list | tuple):
            for index, item in enumerate(value):
                yield from _origins(item, origin, (*path, str(index)))
