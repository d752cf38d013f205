"""Keeps the drainer of a schema running: renews its mandate, starts its process and reaps it."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import structlog

from warp_resources.config import WarpConfig, environment, schema_settings
from warp_resources.connectors.interfaces import StateStore
from warp_resources.dagster_bridge import keys
from warp_resources.model.positions import Holder, stream_lease
from warp_resources.pipeline.replicate import Request
from warp_resources.pipeline.restarting import Restarts
from warp_resources.pipeline.unit_process import serve
from warp_sensors.handover import Handover, hand_over
from warp_sensors.mandate import MANDATE, drain_lease, drainer_label, stream_unit

MODE_VARIABLE = "CARTRIDGE_WARP_DRAIN"
TICK = "tick"
TICK_SECONDS = 30.0
"""Of draining inside a tick: ticks time out at 60 s."""

STARTS_WITHIN_SECONDS, HANGS_AFTER_SECONDS = 60.0, 8.0
"""How long a process may be without its lease: before it first had it, and later. It takes one that ran out within a
second, unless it is frozen or hangs."""

log = structlog.get_logger(__name__)


class Drainer:
    """The drainer of one schema, as the sensor in this process sees it."""

    def __init__(self, config: WarpConfig, schema: str) -> None:
        self._config = config
        self._schema = schema
        self._unit = stream_unit(config, schema)
        self._label = drainer_label(config)
        self._process: subprocess.Popen[bytes] | None = None
        self._reaped: int | None = None
        self._started_at = 0.0
        self._has_led = False
        self._missed_at: float | None = None
        self._restarts = Restarts()
        self._has_failed = False
        self._start_at = 0.0
        self._is_wanted = False

    @property
    def is_failing(self) -> bool:
        """Whether the last one ended by an error, and none has been started since."""
        return self._process is None and self._has_failed

    def keep(self, store: StateStore) -> str:
        """See to it that the schema is streamed for a while longer; who does it, in a sentence."""
        if self._unit is None:
            if schema_settings(self._config, self._schema).schedule is None:
                job = keys.sync_job(self._schema)
                return f"Nothing of this schema streams, and it has no schedule: only runs of {job} sync it."
            return "Nothing of this schema streams: its schedule starts what there is to do."
        self._reap()
        drainer = self._alive(store.lease_holder(drain_lease(self._schema)))
        streamer = self._alive(store.lease_holder(stream_lease(self._schema)))
        if drainer is not None and drainer.label != self._label:
            self._is_wanted = False
            store.set_mandate(self._schema, MANDATE * 0)
            return f"Process {_described(drainer)} stops, since the configuration has changed."
        self._is_wanted = True
        store.set_mandate(self._schema, MANDATE)
        if drainer is not None:
            self._missed_at = None
            self._has_led = self._has_led or (self._process is not None and self._process.pid == drainer.pid)
            return f"Process {_described(drainer)} streams." if streamer else f"Process {_described(drainer)} connects."
        if streamer is not None:
            return f"Streamed by process {_described(streamer)}, which is no drainer of this sensor."
        if environment().get(MODE_VARIABLE) == TICK:
            return self._drain_here()
        return self._start()

    def renew(self, store: StateStore) -> None:
        """Give the whole mandate again at the end of a tick: what the tick did beside it took its time too."""
        if self._is_wanted:
            store.set_mandate(self._schema, MANDATE)

    def _alive(self, holder: Holder | None) -> Holder | None:
        """A holder, unless it is the process that was just reaped: its leases last a few seconds longer."""
        return None if holder is not None and holder.pid == self._reaped else holder

    def _start(self) -> str:
        if self._process is not None and not self._hangs():
            return f"Process {self._process.pid} is starting."
        if self._process is not None:
            # Whatever it holds goes with its connections; what it did not commit is read again.
            log.error("drainer does not answer, it is replaced", schema=self._schema, pid=self._process.pid)
            self._process.kill()
            self._process.wait()
            self._reap()
        seconds = self._start_at - time.monotonic()
        if seconds > 0:
            return f"The drainer stopped; it is started again in {seconds:.0f} s."
        # A session of its own: what stops the terminal or the code server does not stop the stream half-way.
        command = [sys.executable, "-m", "warp_sensors.drain", "--schema", self._schema, "--handed-over"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
        self._started_at = time.monotonic()
        self._has_led, self._missed_at = False, None
        if self._process.stdin is None:
            raise AssertionError("the drainer was started with a pipe")
        hand_over(self._process.stdin, Handover(self._config, self._label))
        log.info("drainer started", schema=self._schema, pid=self._process.pid)
        return f"Process {self._process.pid} is started."

    def _hangs(self) -> bool:
        """Whether the process has been without its lease in tick after tick, for longer than it may."""
        now = time.monotonic()
        self._missed_at = self._missed_at or now
        return now - self._missed_at >= (HANGS_AFTER_SECONDS if self._has_led else STARTS_WITHIN_SECONDS)

    def _reap(self) -> None:
        """Take note of a drainer that ended, and of how soon to start the next."""
        if self._process is None or (code := self._process.poll()) is None:
            return
        lived = time.monotonic() - self._started_at
        self._reaped, self._process = self._process.pid, None
        self._restarts = self._restarts.after(code, lived)
        self._has_failed = code > 0
        # A drainer whose mandate ran out, or that was killed at its work, is wanted again by the tick that finds it.
        self._start_at = time.monotonic() + self._restarts.delay(code) if self._restarts.failures else 0.0
        log.warning("drainer ended", schema=self._schema, code=code, seconds=round(lived, 1))

    def _drain_here(self) -> str:
        """Where no child process can live: the same engine, with an end time."""
        if self._unit is None:
            raise AssertionError("a schema that streams has a unit")
        stop = threading.Event()
        timer = threading.Timer(TICK_SECONDS, stop.set)
        timer.start()
        try:
            serve(self._unit, Request(once=False), stop)
        finally:
            timer.cancel()
        return f"Streamed for {TICK_SECONDS:.0f} s inside this tick."


def _described(holder: Holder) -> str:
    return f"{holder.pid} on {holder.host}"
