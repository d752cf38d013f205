"""Refuses ways to detect changes that the source does not have, before anything connects."""

from __future__ import annotations

from collections.abc import Iterator

from warp_resources.config import WarpConfig, effective, schema_settings
from warp_resources.config.messages import Problem, configuration_error
from warp_resources.model.capabilities import SourceCapabilities

_ANY_TABLE = "\0"
_LOG = "log"


def demand_strategies(config: WarpConfig, schema: str, mode: str, capabilities: SourceCapabilities) -> None:
    """Check what the tables of a schema that are in this mode are to be read by.

    Raises:
        ConfigurationError: the source has no such strategy; with those that it has.
    """
    problems = list(_problems(config, schema, mode, capabilities))
    if problems:
        raise configuration_error(problems)


def _problems(config: WarpConfig, schema: str, mode: str, capabilities: SourceCapabilities) -> Iterator[Problem]:
    settings = schema_settings(config, schema)
    path: tuple[str, ...] = ("schemas", schema)
    named = [(path, _ANY_TABLE)] if settings.mode == mode else []
    named += [((*path, "tables", name), name) for name in settings.tables]
    refused: set[str] = set()
    for path, name in named:
        its = effective(config, schema, name)
        if its.mode != mode or its.strategy in capabilities.strategies or its.strategy in refused:
            continue
        refused.add(its.strategy)
        yield _problem(config, path, its.strategy, capabilities)


def _problem(config: WarpConfig, path: tuple[str, ...], strategy: str, capabilities: SourceCapabilities) -> Problem:
    offered = " or ".join(sorted(capabilities.strategies))
    source = f"a {config.source.type} source"
    if strategy == _LOG:
        text = f"found 'stream', but {source} has no log of changes; mode: batch is allowed, with strategy {offered}"
        return Problem((*path, "mode"), f"{text}, and a schedule says how often")
    text = f"found {strategy!r}, which {source} does not have; {offered} is allowed"
    return Problem((*path, "change_detection", "strategy"), text)
