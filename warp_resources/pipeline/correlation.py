"""Gives log lines the ids that belong together: the run, the schema, the table and the batch or slice."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import ParamSpec

import structlog

from warp_resources.config import WarpConfig

Parameters = ParamSpec("Parameters")


def correlated(config: WarpConfig, **ids: object) -> AbstractContextManager[None]:
    """Within the block, every line of this thread has the ids, unless ``correlation_id_enabled`` is false."""
    if not config.logging.correlation_id_enabled:
        return nullcontext()
    return structlog.contextvars.bound_contextvars(**ids)


def in_context(call: Callable[Parameters, None]) -> Callable[Parameters, None]:
    """A call for another thread, whose lines have the ids that are bound here now."""
    context = contextvars.copy_context()

    def run(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        context.run(call, *args, **kwargs)

    return run
