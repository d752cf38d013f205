"""Brings a stream up to date from a run: by waiting for whoever streams it, or by streaming once."""

from __future__ import annotations

import threading
from contextlib import closing
from datetime import timedelta

import structlog

from warp_resources.connectors.interfaces import Destination
from warp_resources.errors import FencedOut, LeaseHeld, OperatorError
from warp_resources.model.positions import stream_lease
from warp_resources.pipeline.arrival import seconds_to_arrive
from warp_resources.pipeline.engine import Unit
from warp_resources.pipeline.options import open_source, open_state
from warp_resources.pipeline.replicate import Request
from warp_resources.pipeline.unit_process import serve

LONGEST_WAIT = timedelta(minutes=10)

log = structlog.get_logger(__name__)


def bring_up_to_date(unit: Unit, destination: Destination, run_id: str) -> None:
    """Return once everything that the source had at the start is committed.

    Raises:
        OperatorError: the stream does not get there, or cannot run.
        TransientError: a database could not be reached for long.
    """
    if _holder(unit, destination) is None:
        try:
            serve(unit, Request(once=True), threading.Event(), run_id)
        except (LeaseHeld, FencedOut) as held:
            log.info("streamed by another process since, which is waited for", reason=str(held))
        else:
            return
    with closing(open_source(unit.config)) as source, closing(open_state(unit.config, destination)) as store:
        if seconds_to_arrive(source, destination, store, unit.scope, LONGEST_WAIT) is None:
            raise OperatorError(
                f"The stream did not reach the source's end within {LONGEST_WAIT}",
                remedy="Look at its log and at cartridge_warp_metadata.error_log",
                schema=unit.schema,
            )


def _holder(unit: Unit, destination: Destination) -> object | None:
    destination.prepare()
    with closing(open_state(unit.config, destination)) as store:
        return store.lease_holder(stream_lease(unit.schema))
