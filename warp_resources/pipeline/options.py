"""Makes the configured connectors, each with what its own model and limits have checked (C7)."""

from __future__ import annotations

from datetime import timedelta

from pydantic import ValidationError

from warp_resources.config import WarpConfig, connector_options, environment
from warp_resources.connectors.interfaces import Destination, Source, StateStore
from warp_resources.connectors.registry import DESTINATION, SOURCE, destination_class, source_class
from warp_resources.errors import ConfigurationError
from warp_resources.failpoints import VARIABLE, arm
from warp_resources.model.capabilities import Capabilities
from warp_resources.pipeline.schema_names import demand_schema_names

STATE_DATABASE = "postgresql"


def open_source(config: WarpConfig) -> Source:
    """The configured source; it connects when it is first used."""
    cls = source_class(config.source.type)
    return cls(connector_options(config, SOURCE, cls.Options))


def open_destination(config: WarpConfig) -> Destination:
    """The configured destination; it connects when it is first used."""
    # Here, since nothing is read or written without one.
    arm(environment().get(VARIABLE))
    cls = destination_class(config.destination.type)
    options = connector_options(config, DESTINATION, cls.Options)
    demand_schema_names(config, cls.capabilities)
    return cls(options)


def write_interval(config: WarpConfig, capabilities: Capabilities) -> timedelta:
    """How often at most a table is written: as the file says, else as the destination wants it."""
    wanted = config.destination.min_interval
    return capabilities.min_interval if wanted is None else wanted


def open_state(config: WarpConfig, destination: Destination) -> StateStore:
    """The configured store of leases and mandates, else the destination's own; it connects when it is first used.

    Raises:
        ConfigurationError: the connection string of the store cannot be read.
    """
    uri = config.state.connection_string
    if uri is None:
        return destination.state_store()
    cls = destination_class(STATE_DATABASE)
    given = {"connection_string": uri, "connection_timeout": config.performance.connection_timeout}
    try:
        options = cls.Options.model_validate(given)
    except ValidationError as error:
        text = error.errors(include_input=False, include_url=False)[0]["msg"]
        refused = ConfigurationError(f"state.connection_string: {text}")
    else:
        return cls(options).state_store()
    # Raised here, outside of the handler: pydantic's error has the connection string.
    raise refused
