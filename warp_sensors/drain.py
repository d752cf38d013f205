"""The drainer: streams one schema for as long as its sensor renews the mandate."""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import closing

import structlog

from warp_resources.config import WarpConfig, find_file
from warp_resources.connectors.interfaces import StateStore
from warp_resources.errors import FencedOut, LeaseHeld, WarpError
from warp_resources.pipeline.lease import LeaseKeeper
from warp_resources.pipeline.options import open_destination, open_state
from warp_resources.pipeline.replicate import Request
from warp_resources.pipeline.stopping import stop_on_signals
from warp_resources.pipeline.unit_process import serve
from warp_resources.telemetry.logs import configure_logging
from warp_sensors.handover import Handover, receive
from warp_sensors.mandate import MANDATE, drain_lease, drainer_label, stream_unit

WATCH_SECONDS = 1.0
DONE, FAILED = 0, 1

log = structlog.get_logger(__name__)


class Watch:
    """Sets ``stop`` once the mandate has run out, or when another drainer of the schema has taken over."""

    def __init__(self, schema: str, store: StateStore, leases: LeaseKeeper, stop: threading.Event) -> None:
        self._schema = schema
        self._store = store
        self._leases = leases
        self._stop = stop
        self._seen_at = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="mandate-watch", daemon=True)
        self._thread.start()

    def join(self) -> None:
        self._stop.set()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        reason: str | None = None
        try:
            while reason is None and not self._stop.wait(WATCH_SECONDS):
                reason = self._reason_to_stop()
        finally:
            # However the watch ends: nothing streams without it.
            self._stop.set()
        if reason is not None:
            log.info("drainer stops", schema=self._schema, reason=reason)

    def _reason_to_stop(self) -> str | None:
        try:
            if not self._store.has_mandate(self._schema):
                return "its sensor no longer asks for it"
            self._seen_at = time.monotonic()
            return None if self._keeps_lease() else "another drainer has taken over"
        except WarpError as error:
            # The last mandate that was seen may have been renewed a moment before.
            if time.monotonic() - self._seen_at < MANDATE.total_seconds():
                return None
            return f"its mandate cannot be read: {error}"

    def _keeps_lease(self) -> bool:
        lease = drain_lease(self._schema)
        try:
            self._leases.demand(lease)
        except FencedOut:
            try:
                self._leases.take(lease)
            except LeaseHeld:
                return False
        return True


def drain(config: WarpConfig, schema: str, stop: threading.Event, label: str) -> None:
    """Stream the schema until the mandate runs out or ``stop`` is set.

    Raises:
        LeaseHeld: another drainer of the schema is at work.
        OperatorError: trying again cannot help.
    """
    unit = stream_unit(config, schema)
    if unit is None:
        log.info("nothing of this schema streams", schema=schema)
        return
    with closing(open_destination(config)) as destination:
        store = open_state(config, destination)
        leases = LeaseKeeper(lambda: store, label=label)
        try:
            leases.take(drain_lease(schema))
            watch = Watch(schema, store, leases, stop)
            try:
                serve(unit, Request(once=False), stop)
            finally:
                watch.join()
                leases.release(drain_lease(schema))
        finally:
            leases.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """``python -m warp_sensors.drain --schema S``: exit code 0 where there is no more to do, 1 on failure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--schema", required=True, help="The schema to stream.")
    parser.add_argument("--handed-over", action="store_true", help="Standard input has what its sensor goes by.")
    asked = parser.parse_args(arguments)
    schema: str = asked.schema
    stop = threading.Event()
    stop_on_signals(stop.set)
    try:
        given = receive(sys.stdin.buffer) if asked.handed_over else _from_file()
        configure_logging(given.config.logging)
        drain(given.config, schema, stop, given.label)
    except LeaseHeld as held:
        log.info("drainer is not needed", schema=schema, reason=str(held))
    except WarpError as error:
        log.error("drainer stopped", schema=schema, error=str(error))
        return FAILED
    return DONE


def _from_file() -> Handover:
    config = WarpConfig.from_file(find_file())
    return Handover(config, drainer_label(config))


if __name__ == "__main__":
    sys.exit(main())
