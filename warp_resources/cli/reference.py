"""Joins the reference of all keys from the configuration's models and those of the built-in connectors."""

from __future__ import annotations

from warp_resources.config import configuration_reference
from warp_resources.connectors.registry import SOURCE, built_in_connectors, destination_class, source_class


def whole_reference() -> str:
    """What ``docs/configuration.md`` holds."""
    return configuration_reference(
        (f"`{role}` with `type: {name}`", (source_class if role == SOURCE else destination_class)(name).Options)
        for role, name in built_in_connectors()
    )
