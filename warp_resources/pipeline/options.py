"""Makes the configured connectors, each with the options that its own model has checked (C7)."""

from __future__ import annotations

from warp_resources.config import WarpConfig, connector_options
from warp_resources.connectors.interfaces import Destination, Source
from warp_resources.connectors.registry import DESTINATION, SOURCE, destination_class, source_class


def open_source(config: WarpConfig) -> Source:
    """The configured source; it connects when it is first used."""
    cls = source_class(config.source.type)
    return cls(connector_options(config, SOURCE, cls.Options))


def open_destination(config: WarpConfig) -> Destination:
    """The configured destination; it connects when it is first used."""
    cls = destination_class(config.destination.type)
    return cls(connector_options(config, DESTINATION, cls.Options))
