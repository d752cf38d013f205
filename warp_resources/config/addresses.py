"""Finds the key that an environment variable or a flag addresses."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, SecretStr

from warp_resources.config.aliases import ALIASES, Tree
from warp_resources.config.layers import Path, is_named
from warp_resources.config.settings import allows_extra, fields_by_key, is_mapping, is_named_list, nested_model
from warp_resources.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Item:
    """A step into a list, by the name of the item."""

    name: str


@dataclass(frozen=True, slots=True)
class Address:
    """The steps to a key, and the type of what is there."""

    steps: tuple[str | Item, ...]
    annotation: Any = None

    @property
    def path(self) -> Path:
        return tuple(step.name if isinstance(step, Item) else step for step in self.steps)

    @property
    def is_secret(self) -> bool:
        return self.annotation is SecretStr or SecretStr in getattr(self.annotation, "__args__", ())

    def tree(self, value: Any) -> Tree:
        """A layer that says nothing but this value."""
        inner = value
        for step in reversed(self.steps):
            if isinstance(step, Item) and not isinstance(inner, Mapping):
                raise ConfigurationError(
                    f"{'.'.join(self.path)} is not one value but a mapping", remedy="Name one of its keys"
                )
            inner = [{**inner, "name": step.name}] if isinstance(step, Item) else {step: inner}
        return dict(inner)


class UnknownAddress(Exception):
    """No key goes by this segment.

    Args:
        index: which segment.
        known: what could stand there.
    """

    def __init__(self, index: int, known: Sequence[str]) -> None:
        self.index = index
        self.known = known
        super().__init__(index)


@dataclass(slots=True)
class Walk:
    """One walk from the root of the models along the segments of an address.

    Args:
        segments: what the variable's name was split into.
        joiner: what it was split at, as a name may contain it.
        is_folded: whether case and the characters that a variable cannot have are ignored.
    """

    segments: Sequence[str]
    joiner: str
    is_folded: bool
    index: int = 0

    def to(self, model: type[BaseModel], tree: Any) -> Address:
        """The address that the segments spell, given what the layers below already hold.

        Raises:
            UnknownAddress: they spell none.
        """
        return Address(*self._walk(model, tree, ""))

    def _walk(self, model: type[BaseModel], tree: Any, section: str) -> tuple[tuple[str | Item, ...], Any]:
        if self.index == len(self.segments):
            return (), model
        known = [*fields_by_key(model), *ALIASES.get(section, ())]
        key = self._match(known, 1)
        inner = tree if isinstance(tree, Mapping) else {}
        if key is None:
            return self._extra(model, inner, known)
        self.index += 1
        field = fields_by_key(model).get(key)
        annotation = field.annotation if field else None
        steps, end = self._within(annotation, inner.get(key), key)
        return (key, *steps), end

    def _within(self, annotation: Any, tree: Any, section: str) -> tuple[tuple[str | Item, ...], Any]:
        model = nested_model(annotation)
        if self.index == len(self.segments):
            return (), annotation
        if is_named_list(annotation) and model is not None:
            items = (
                {item["name"]: item for item in reversed(tree) if is_named([item])} if isinstance(tree, list) else {}
            )
            name = self._name(list(items))
            steps, end = self._walk(model, items.get(name), section)
            return (Item(name), *steps), end
        if is_mapping(annotation):
            inner = tree if isinstance(tree, Mapping) else {}
            name = self._name([key for key in inner if isinstance(key, str)])
            steps, end = self._walk(model, inner.get(name), "") if model else self._end()
            return (name, *steps), end
        if model is not None:
            return self._walk(model, tree, section)
        return self._end()

    def _end(self) -> tuple[tuple[str | Item, ...], Any]:
        if self.index < len(self.segments):
            raise UnknownAddress(self.index, ())
        return (), None

    def _extra(self, model: type[BaseModel], tree: Mapping[str, Any], known: list[str]) -> tuple[tuple[str, ...], Any]:
        if not allows_extra(model):
            raise UnknownAddress(self.index, known)
        steps: list[str] = []
        inner: Any = tree
        while self.index < len(self.segments):
            steps.append(self._name(list(inner) if isinstance(inner, Mapping) else []))
            inner = inner.get(steps[-1]) if isinstance(inner, Mapping) else None
        return tuple(steps), None

    def _name(self, existing: list[str]) -> str:
        for width in range(len(self.segments) - self.index, 0, -1):
            name = self._match(existing, width)
            if name is not None:
                self.index += width
                return name
        segment = self.segments[self.index]
        self.index += 1
        return segment.lower() if self.is_folded and segment.isupper() else segment

    def _match(self, known: Sequence[str], width: int) -> str | None:
        wanted = self.joiner.join(self.segments[self.index : self.index + width])
        if wanted in known:
            return wanted
        if not self.is_folded:
            return None
        if wanted.lower() in known:
            return wanted.lower()
        # Two tables may differ in case only; then neither is meant by a spelling that fits both.
        alike = [name for name in known if folded(name) == folded(wanted)]
        return alike[0] if len(alike) == 1 else None


def folded(name: str) -> str:
    """A name as far as an environment variable can spell it."""
    return re.sub(r"[^a-z0-9]", "_", name.lower())
