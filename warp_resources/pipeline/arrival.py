"""Measures how long a schema's stream takes to arrive at the end of the source's log."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

from warp_resources.connectors.interfaces import Destination, Source, SourceScope

POLL_SECONDS = 0.1


def seconds_to_arrive(
    source: Source,
    destination: Destination,
    scope: SourceScope,
    within: timedelta,
    stop: threading.Event | None = None,
) -> float | None:
    """How long it is until all that is in the log now has been committed; None if it takes longer, or is to stop.

    An idle stream saves its position every few seconds only, so that is what it may take at most.
    """
    target = source.log_end(scope)
    stop = stop or threading.Event()
    began = time.monotonic()
    while True:
        state = destination.stream_state(scope.schema)
        waited = time.monotonic() - began
        if state is not None and source.is_reached(state.position, target):
            return waited
        if waited > within.total_seconds():
            return None
        if stop.wait(POLL_SECONDS):
            return None
