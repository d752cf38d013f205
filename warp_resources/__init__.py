"""The engine of cartridge-warp: its public names, loaded when they are first asked for."""

from __future__ import annotations

import importlib

_WHERE = {
    "WarpConfig": "warp_resources.config",
    "SourceConfig": "warp_resources.config",
    "DestinationConfig": "warp_resources.config",
    "SchemaConfig": "warp_resources.config",
    "TableConfig": "warp_resources.config",
    "WarpRunner": "warp_resources.pipeline.runner",
    "register_source_connector": "warp_resources.connectors.registry",
    "register_destination_connector": "warp_resources.connectors.registry",
    "list_connectors": "warp_resources.connectors.registry",
}

__all__ = list(_WHERE)


def __getattr__(name: str) -> object:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    return sorted(_WHERE)
