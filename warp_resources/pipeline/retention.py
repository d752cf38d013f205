"""Removes old metadata while an engine is open: a thread with a connection of its own, in nobody's way."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, closing
from dataclasses import fields
from datetime import timedelta
from functools import partial

import structlog

from warp_resources.config import WarpConfig
from warp_resources.errors import WarpError
from warp_resources.model.retention import RetentionPeriods
from warp_resources.pipeline.beside import repeating
from warp_resources.pipeline.options import open_destination

EVERY = timedelta(hours=1)
PORTION = 10_000
"""Rows of a table that go in one transaction."""

PAUSE_SECONDS = 0.1
"""Between two portions, so that what streams meanwhile has the server to itself most of the time."""

_LONGEST = timedelta(days=36_500)
"""Later than any row is old, and still within what a database can count back."""

log = structlog.get_logger(__name__)


def removing_old_metadata(config: WarpConfig) -> AbstractContextManager[None]:
    """Within the block, old metadata goes: at once, then every hour. Several processes may do so at a time."""
    return repeating("retention", partial(_run, config, retention_periods(config)), EVERY)


def retention_periods(config: WarpConfig) -> RetentionPeriods:
    """The configured periods, none longer than a hundred years."""
    settings = config.retention
    return RetentionPeriods(
        **{its.name: min(_LONGEST, getattr(settings, its.name)) for its in fields(RetentionPeriods)}
    )


def _run(config: WarpConfig, periods: RetentionPeriods, stopped: threading.Event) -> None:
    try:
        removed = _remove(config, periods, stopped)
        if removed:
            log.info("old metadata removed", rows=removed)
    except WarpError as error:
        # The next hour tries again; what streams meanwhile meets the cause itself.
        log.warning("old metadata not removed", error=str(error))


def _remove(config: WarpConfig, periods: RetentionPeriods, stopped: threading.Event) -> int:
    """A session of any length removes one portion at least."""
    total = 0
    with closing(open_destination(config)) as destination:
        while removed := destination.remove_expired(periods, PORTION):
            total += removed
            if stopped.wait(PAUSE_SECONDS):
                break
    return total
