"""Reads a change stream ahead of the writer: one thread, one bounded queue."""

from __future__ import annotations

import queue
import threading
import time
from datetime import timedelta

from warp_resources.connectors.interfaces import ChangeStream, ReadLimits
from warp_resources.model.batches import Changes
from warp_resources.pipeline.correlation import in_context

READ_AHEAD = 2
POLL = timedelta(milliseconds=500)
"""How long an idle stream is waited on at a time: stopping takes that long at most."""
CLOSED_BEYOND = timedelta(minutes=1)
"""A stream that is not asked for longer is closed meanwhile: servers forget one that rests for minutes."""
_LOOK_SECONDS = 0.2


class StreamReader:
    """Delivers the cuts of a stream in order; what the stream raises is raised by ``get``.

    Memory is bounded by ``READ_AHEAD + 1`` cuts of ``limits.max_bytes`` each.

    Args:
        interval: after a cut without more behind it, the stream is asked again only once so much time has passed and
            the cut is written, so that the next one has everything since. What has more behind it is followed at once.
    """

    def __init__(
        self, stream: ChangeStream, limits: ReadLimits, poll: timedelta = POLL, interval: timedelta = timedelta(0)
    ) -> None:
        self._stream = stream
        self._limits = limits
        self._poll = poll
        self._interval = interval
        self._delivered = self._taken = self._written = 0
        self._ready: queue.Queue[Changes | BaseException] = queue.Queue(maxsize=READ_AHEAD)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=in_context(self._read), name="stream-reader", daemon=True)
        self._thread.start()

    def get(self, wait: timedelta) -> Changes | None:
        """The next cut, or None after ``wait`` without one; whoever asks has written the one before."""
        self._written = self._taken
        try:
            item = self._ready.get(timeout=wait.total_seconds()) if wait else self._ready.get_nowait()
        except queue.Empty:
            return None
        if isinstance(item, BaseException):
            raise item
        self._taken += 1
        return item

    def _rest(self, since: float) -> None:
        """Leave the stream alone for the interval, and until the writer has nothing left."""
        if self._interval > CLOSED_BEYOND:
            self._stream.close()
        self._stopped.wait(since + self._interval.total_seconds() - time.monotonic())
        while not self._stopped.is_set() and self._written < self._delivered:
            self._stopped.wait(_LOOK_SECONDS)

    def close(self) -> None:
        """Stop reading; the stream is closed by the time this returns."""
        self._stopped.set()
        while self._thread.is_alive():
            self._drain()
            self._thread.join(timeout=0.05)
        self._stream.close()

    def _drain(self) -> None:
        while True:
            try:
                self._ready.get_nowait()
            except queue.Empty:
                return

    def _read(self) -> None:
        try:
            while not self._stopped.is_set():
                changes = self._stream.next(self._limits, self._poll)
                if changes is None:
                    continue
                delivered_at = time.monotonic()
                self._delivered += 1
                self._ready.put(changes)
                if self._interval and not changes.has_more and (changes.tables or changes.events):
                    self._rest(delivered_at)
        except BaseException as error:  # noqa: BLE001 - handed over whole: `get` raises it in the writer's thread.
            self._ready.put(error)
