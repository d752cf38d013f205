"""Measures how long a schema's stream takes to arrive at the end of the source's log."""

from __future__ import annotations

import json
import threading
import time
from datetime import timedelta

from warp_resources.connectors.interfaces import Destination, Source, SourceScope, StateStore
from warp_resources.model.capabilities import Capabilities
from warp_resources.model.positions import Position, stream_lease

POLL_SECONDS = 0.1
NOTE_EVERY = timedelta(seconds=5)
"""How often an idle stream notes its place where the destination saves it less often."""
_RARE_POLL_SECONDS = 1.0


def is_noted(capabilities: Capabilities) -> bool:
    """Whether an idle stream notes its place beside its lease, since making it durable costs too much for that."""
    return capabilities.idle_save > 2 * NOTE_EVERY


def noted_place(store: StateStore, schema: str) -> Position | None:
    """Up to where the process that holds a schema's stream has found nothing to write; None: it noted nothing."""
    text = store.noted(stream_lease(schema))
    place: Position | None = None if text is None else json.loads(text)
    return place


def seconds_to_arrive(
    source: Source,
    destination: Destination,
    store: StateStore,
    scope: SourceScope,
    within: timedelta,
    stop: threading.Event | None = None,
) -> float | None:
    """How long it is until all that is in the log now has been committed; None if it takes longer, or is to stop.

    An idle stream saves or notes its place every few seconds, so that is what it may take at most.
    """
    target = source.log_end(scope)
    stop = stop or threading.Event()
    is_rare = is_noted(destination.capabilities)
    began = time.monotonic()
    while True:
        state = destination.stream_state(scope.schema)
        places = [None if state is None else state.position, noted_place(store, scope.schema) if is_rare else None]
        waited = time.monotonic() - began
        if any(place is not None and source.is_reached(place, target) for place in places):
            return waited
        if waited > within.total_seconds():
            return None
        if stop.wait(_RARE_POLL_SECONDS if is_rare else POLL_SECONDS):
            return None
