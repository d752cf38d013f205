"""Refuses schema names that the destination cannot have, before anything is written."""

from __future__ import annotations

from collections.abc import Iterator

from warp_resources.config import WarpConfig, schema_settings
from warp_resources.config.messages import Problem, configuration_error
from warp_resources.evolution.names import schema_refusal
from warp_resources.model.capabilities import Capabilities


def demand_schema_names(config: WarpConfig, capabilities: Capabilities) -> None:
    """Check every schema that tables would land in.

    Raises:
        ConfigurationError: one would be refused, or cut, so that two of them might become one.
    """
    problems = list(_problems(config, capabilities))
    if problems:
        raise configuration_error(problems)


def _problems(config: WarpConfig, capabilities: Capabilities) -> Iterator[Problem]:
    shared = config.destination.schema_name
    if shared is not None:
        refusal = schema_refusal(shared, capabilities)
        if refusal:
            yield Problem(("destination", "schema"), f"found {shared!r}, {refusal}; another name is allowed")
        if not capabilities.keeps_schema_names:
            return
    for schema in config.schemas:
        refusal = schema_refusal(schema.name, capabilities)
        if refusal:
            database = schema_settings(config, schema.name).database
            remedy = f"give it another name, with database: {database}"
            if not capabilities.keeps_schema_names:
                remedy += "; or set destination.schema"
            yield Problem(("schemas", schema.name, "name"), f"found {schema.name!r}, {refusal}; {remedy}")
