"""Looks whether the servers of a configuration answer, over connections of its own that give up soon."""

from __future__ import annotations

from contextlib import ExitStack, closing
from datetime import timedelta

from warp_resources.config import WarpConfig
from warp_resources.errors import OperatorError, TransientError
from warp_resources.pipeline.options import open_destination, open_source, open_state

PATIENCE = timedelta(seconds=8)
"""For each server: enough for the handshakes over a line that takes half a second each way."""


class Lookout:
    """A glance at source, destination and state store; it costs each one connection for a moment."""

    def __init__(self, config: WarpConfig) -> None:
        timings = config.performance
        short = {
            "connection_timeout": min(timings.connection_timeout, PATIENCE),
            "read_timeout": min(timings.read_timeout, PATIENCE),
        }
        self._config = config.model_copy(update={"performance": timings.model_copy(update=short)})

    def answers(self) -> bool:
        """Whether all of them answer now, and the destination takes writes."""
        try:
            with ExitStack() as opened:
                destination = opened.enter_context(closing(open_destination(self._config)))
                destination.check()
                if self._config.state.connection_string is not None:
                    store = opened.enter_context(closing(open_state(self._config, destination)))
                    store.lease_holder("")
                opened.enter_context(closing(open_source(self._config))).now()
        except TransientError:
            return False
        except OperatorError:
            # It answers; the next attempt meets the same and says what to do.
            return True
        return True
