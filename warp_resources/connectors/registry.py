"""Finds connectors by name, loading a driver only when a pipeline asks for its database."""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import TypeVar

from warp_resources.connectors.interfaces import Destination, Source
from warp_resources.errors import ConfigurationError

ENTRY_POINT_GROUP = "cartridge_warp.connectors"
SOURCE, DESTINATION = "source", "destination"

_BUILT_IN = {
    (SOURCE, "memory"): "warp_resources.connectors.memory.source:MemorySource",
    (DESTINATION, "memory"): "warp_resources.connectors.memory.destination:MemoryDestination",
    (SOURCE, "bigquery"): "warp_resources.connectors.bigquery.source:BigQuerySource",
    (DESTINATION, "bigquery"): "warp_resources.connectors.bigquery.destination:BigQueryDestination",
    (SOURCE, "mongodb"): "warp_resources.connectors.mongodb.source:MongoSource",
    (DESTINATION, "postgresql"): "warp_resources.connectors.postgresql.destination:PostgresDestination",
}
_PROTOCOLS: dict[str, type] = {SOURCE: Source, DESTINATION: Destination}
_registered: dict[tuple[str, str], type] = {}

Class = TypeVar("Class", bound=type)


def register_source_connector(name: str) -> Callable[[Class], Class]:
    """Class decorator: offer a ``Source`` under ``type: name``."""
    return _register(SOURCE, name)


def register_destination_connector(name: str) -> Callable[[Class], Class]:
    """Class decorator: offer a ``Destination`` under ``type: name``."""
    return _register(DESTINATION, name)


def source_class(name: str) -> type[Source]:
    """The source that ``type: name`` means: built in, registered, an entry point, or ``module:Class``."""
    return _find(SOURCE, name)


def destination_class(name: str) -> type[Destination]:
    """The destination that ``type: name`` means; see ``source_class``."""
    return _find(DESTINATION, name)


def list_connectors() -> dict[str, list[str]]:
    """The known type names by role, without loading any."""
    known = {*_BUILT_IN, *_registered, *_plug_ins()}
    return {role: sorted(name for its, name in known if its == role) for role in (SOURCE, DESTINATION)}


def built_in_connectors() -> list[tuple[str, str]]:
    """Role and name of each connector that comes with the package, sources first."""
    return sorted(_BUILT_IN, key=lambda key: (key[0] != SOURCE, key[1]))


def _register(role: str, name: str) -> Callable[[Class], Class]:
    def register(cls: Class) -> Class:
        known = _registered.get((role, name))
        if (role, name) in _BUILT_IN or (known is not None and known is not cls):
            raise ConfigurationError(f"Two connectors call themselves {role} {name!r}", remedy="Rename one of them")
        _registered[role, name] = cls
        return cls

    return register


def _plug_ins() -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for point in entry_points(group=ENTRY_POINT_GROUP):
        name, _, role = point.name.rpartition(".")
        if not name:
            raise ConfigurationError(
                f"Entry point {point.name!r} of group {ENTRY_POINT_GROUP} does not name its role",
                remedy=f"Call it {point.name}.{SOURCE} or {point.name}.{DESTINATION}",
            )
        known = found.get((role, name), point.value)
        if known != point.value or (role, name) in _BUILT_IN:
            raise ConfigurationError(
                f"Two connectors call themselves {role} {name!r}",
                remedy="Uninstall one of them",
                first=_BUILT_IN.get((role, name), known),
                second=point.value,
            )
        found[role, name] = point.value
    return found


def _find(role: str, name: str) -> type:
    cls = _named(role, name)
    lacking = sorted(its for its in _promised(_PROTOCOLS[role]) if not hasattr(cls, its))
    if lacking:
        raise ConfigurationError(
            f"{cls.__name__}, which `type: {name}` names, is no {role} connector: it lacks {', '.join(lacking)}",
            remedy="Name another class, or give it what docs/connectors.md asks of it",
        )
    return cls


def _promised(protocol: type) -> set[str]:
    members = {*vars(protocol), *inspect.get_annotations(protocol)}
    return {name for name in members if not name.startswith("_")}


def _named(role: str, name: str) -> type:
    if (role, name) in _registered:
        return _registered[role, name]
    if (role, name) in _BUILT_IN:
        return _load(_BUILT_IN[role, name])
    plug_ins = _plug_ins()
    if (role, name) in plug_ins:
        return _load(plug_ins[role, name])
    if ":" in name:
        return _load(name)
    names = list_connectors()[role]
    near = difflib.get_close_matches(name, names, n=1)
    raise ConfigurationError(
        f"No {role} connector is called {name!r}",
        remedy=(f"Did you mean {near[0]!r}? " if near else "") + f"Known: {', '.join(names)}, or module:Class",
    )


def _load(target: str) -> type:
    module, _, attribute = target.partition(":")
    if not all(part.isidentifier() for part in (*module.split("."), attribute)):
        raise ConfigurationError(f"Connector {target!r} is not written as module:Class", remedy="Correct `type`")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(
            f"Connector {target!r} cannot be loaded: {error}", remedy="Install its package, or correct `type`"
        ) from error
    if not isinstance(found, type):
        raise ConfigurationError(f"Connector {target!r} is not a class", remedy="Name a class as module:Class")
    return found
