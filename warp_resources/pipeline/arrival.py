"""Measures how long a schema's stream takes to arrive at the end of the source's log."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from datetime import timedelta

from warp_resources.connectors.interfaces import Destination, ReadLimits, Source, SourceScope
from warp_resources.errors import HistoryLost
from warp_resources.model.positions import Position

POLL_SECONDS = 0.1
OFTEN = timedelta(seconds=10)
"""A destination where an idle stream saves its position less often is asked less often, and the log beside it."""
_RARE_POLL_SECONDS = 1.0
_SEARCH_SECONDS = 5.0
_WAIT = timedelta(milliseconds=200)
_ONE = ReadLimits(1, 2**20)


def seconds_to_arrive(
    source: Source,
    destination: Destination,
    scope: SourceScope,
    within: timedelta,
    stop: threading.Event | None = None,
) -> float | None:
    """How long it is until all that is in the log now has been committed; None if it takes longer, or is to stop.

    An idle stream saves its position every few seconds, so that is what it may take at most; where it does so
    rarely, a log that has nothing of the scope after the position is as good.
    """
    target = source.log_end(scope)
    stop = stop or threading.Event()
    is_rare = destination.capabilities.idle_save > OFTEN
    began = time.monotonic()
    while True:
        state = destination.stream_state(scope.schema)
        waited = time.monotonic() - began
        if state is not None and source.is_reached(state.position, target):
            return waited
        if state is not None and is_rare and _has_nothing(source, scope, state.position, target):
            return waited
        if waited > within.total_seconds():
            return None
        if stop.wait(_RARE_POLL_SECONDS if is_rare else POLL_SECONDS):
            return None


def _has_nothing(source: Source, scope: SourceScope, after: Position, target: Position) -> bool:
    """Whether the log has proved to have nothing of the scope between two positions."""
    until = time.monotonic() + _SEARCH_SECONDS
    try:
        with closing(source.stream(scope, after)) as stream:
            while time.monotonic() < until:
                changes = stream.next(_ONE, _WAIT)
                if changes is None:
                    continue
                if changes.tables or changes.events:
                    return False
                if source.is_reached(changes.position, target):
                    return True
    except HistoryLost:
        return False
    return False
