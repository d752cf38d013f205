"""Runs the configured schemas: one engine process each, or one after the other for a single pass."""

from __future__ import annotations

import subprocess
import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from warp_resources.config import WarpConfig, served_schemas
from warp_resources.errors import OperatorError, Unreachable, WarpError
from warp_resources.model.positions import StreamState, TableState
from warp_resources.pipeline.engine import Unit, units
from warp_resources.pipeline.options import open_destination
from warp_resources.pipeline.payload import Work, start_child
from warp_resources.pipeline.replicate import Request
from warp_resources.pipeline.restarting import Restarts
from warp_resources.pipeline.snapshot import OnChunk, ignore_chunk
from warp_resources.pipeline.spare import dismiss_spare
from warp_resources.pipeline.unit_process import STOPPED_FOR_GOOD, serve

CHILD = "warp_resources.pipeline.unit_process"
WATCH_SECONDS = 0.2
STOP_SECONDS = 8.0
"""What the children have of the grace that their parent has itself."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SchemaStatus:
    """Where a schema stands by its markers: None and empty before its first run."""

    schema: str
    stream: StreamState | None
    tables: dict[str, TableState] = field(default_factory=dict)


class WarpRunner:
    """Runs what a configuration describes; synchronous.

    Args:
        config: the configuration, checked.
        schemas: which of the served schemas; empty means all.
        tables: which source tables; empty means all that the configuration names.
    """

    def __init__(self, config: WarpConfig, schemas: Sequence[str] = (), tables: Sequence[str] = ()) -> None:
        self._config = config
        self._stop = threading.Event()
        names = tuple(schemas) or served_schemas(config)
        self._units = [unit for name in names for unit in units(config, name, tuple(tables))]

    def start(self, full_resync: bool = False) -> None:
        """Run until ``stop()``; several units each get a process of their own.

        Raises:
            OperatorError: a unit stopped for good, once all others have ended too.
        """
        if len(self._units) == 1:
            serve(self._units[0], Request(once=False, full_resync=full_resync), self._stop)
            return
        dismiss_spare()
        failed = _supervise([_Child(unit, full_resync) for unit in self._units], self._stop)
        if failed:
            raise OperatorError(
                f"{len(failed)} of {len(self._units)} stopped for good",
                remedy="The log and cartridge_warp_metadata.error_log have each cause",
                stopped=", ".join(failed),
            )

    def run_once(self, full_resync: bool = False, on_chunk: OnChunk = ignore_chunk) -> bool:
        """Bring every unit up to date, one after the other; a failing one does not stop the rest.

        ``on_chunk`` is told of each chunk of a snapshot that this process commits. Once a unit has waited
        in vain for a server, those after it, which need the same one, do not wait again.

        Returns:
            Whether all came to their end; False where ``stop()`` broke it off.

        Raises:
            WarpError: the first failure, after all units had their turn.
        """
        failures: list[WarpError] = []
        is_done = True
        for unit in self._units:
            if failures and isinstance(failures[-1], Unreachable):
                log.error("unit not tried, its server does not answer", unit=str(unit))
                continue
            try:
                request = Request(once=True, full_resync=full_resync, on_chunk=on_chunk)
                is_done = serve(unit, request, self._stop) and is_done
            except WarpError as error:
                log.error("unit failed", unit=str(unit), error=str(error))
                failures.append(error)
        if failures:
            raise failures[0]
        return is_done

    def stop(self) -> None:
        """Ask for a graceful stop, from another thread or a signal handler."""
        self._stop.set()

    def status(self) -> list[SchemaStatus]:
        """The markers of every schema, read from the destination."""
        destination = open_destination(self._config)
        try:
            return [
                SchemaStatus(name, destination.stream_state(name), destination.table_states(name))
                for name in dict.fromkeys(unit.schema for unit in self._units)
            ]
        finally:
            destination.close()


class _Child:
    """A unit's process, started again where it ends without an operator's part in it."""

    def __init__(self, unit: Unit, full_resync: bool) -> None:
        self.unit = unit
        self._work = Work(unit, str(uuid.uuid4()), full_resync)
        self._process = start_child(CHILD, self._work)
        self._started_at = time.monotonic()
        self._restarts = Restarts()
        self._restart_at: float | None = None
        self.has_failed = False

    def watch(self) -> None:
        code = self._process.poll()
        if code is None or self.has_failed:
            return
        if code == STOPPED_FOR_GOOD:
            self.has_failed = True
        elif self._restart_at is None:
            self._restarts = self._restarts.after(code, time.monotonic() - self._started_at)
            delay = self._restarts.delay(code)
            log.error("engine process ended, starting it again", unit=str(self.unit), code=code, seconds=delay)
            self._restart_at = time.monotonic() + delay
        elif time.monotonic() >= self._restart_at:
            self._restart_at = None
            self._started_at = time.monotonic()
            self._process = start_child(CHILD, self._work)

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()

    def wait(self, deadline: float) -> None:
        try:
            self._process.wait(timeout=max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            log.error("engine process did not stop in time", unit=str(self.unit))
            self._process.kill()
            self._process.wait()
        # It may have come to its end between the last look at it and the stop.
        self.has_failed = self.has_failed or self._process.returncode == STOPPED_FOR_GOOD
        if self._process.stdin is not None:
            self._process.stdin.close()


def _supervise(children: list[_Child], stop: threading.Event) -> list[str]:
    """Watch until all have failed or a stop is asked for; the units that failed."""
    try:
        while not stop.wait(WATCH_SECONDS) and not all(child.has_failed for child in children):
            for child in children:
                child.watch()
    finally:
        deadline = time.monotonic() + STOP_SECONDS
        for child in children:
            child.stop()
        for child in children:
            child.wait(deadline)
    return [str(child.unit) for child in children if child.has_failed]
