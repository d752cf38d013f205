"""Holds leases: one thread renews them on its own connection and says when one is lost."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import psutil
import structlog

from warp_resources.connectors.interfaces import StateStore
from warp_resources.errors import ConnectionLost, FencedOut, WarpError
from warp_resources.failpoints import failpoint
from warp_resources.model.positions import Holder, Lease
from warp_resources.pipeline.correlation import in_context

TTL = timedelta(seconds=4)
RENEW_EVERY = timedelta(seconds=1)
CLOSE_SECONDS = 2.0
CONNECTING = timedelta(seconds=30)
"""The longest that the first lease is put off for the connection that renews it."""

log = structlog.get_logger(__name__)


def this_process(label: str) -> Holder:
    """This process as a holder of leases; containers that share a host name differ in namespace."""
    try:
        namespace = os.readlink("/proc/self/ns/pid").removeprefix("pid:")
    except OSError:
        namespace = ""
    me = psutil.Process()
    return Holder(host=socket.gethostname() + namespace, pid=me.pid, started=me.create_time(), label=label)


class LeaseKeeper:
    """Takes leases and keeps them until they are released or lost.

    Args:
        open_store: gives a store with a connection of its own; called twice, since the
            renewing thread needs one too.
        label: how other processes will see this holder.
    """

    def __init__(self, open_store: Callable[[], StateStore], label: str) -> None:
        self._store = open_store()
        self._renewing_store = open_store()
        self._holder = this_process(label)
        self._held: dict[str, Lease] = {}
        self._lost: set[str] = set()
        self._guard = threading.Lock()
        self._stopped = threading.Event()
        self._is_connected = threading.Event()
        self._thread = threading.Thread(target=in_context(self._renew), name="lease-renewal", daemon=True)
        self._thread.start()

    def take(self, name: str) -> None:
        """Take a lease, or raise ``LeaseHeld``."""
        # Over a slow line, connecting takes longer than a lease lasts.
        self._is_connected.wait(CONNECTING.total_seconds())
        lease = self._store.take_lease(name, self._holder, TTL)
        with self._guard:
            self._held[name] = lease
            self._lost.discard(name)

    def release(self, name: str) -> None:
        with self._guard:
            lease = self._held.pop(name, None)
            self._lost.discard(name)
        if lease is None:
            return
        try:
            self._store.release_lease(lease)
        except ConnectionLost:
            # Over a new connection: nobody, this process above all, has to wait until it expires.
            self._store.release_lease(lease)

    def let_go(self, name: str) -> None:
        """Release a lease if that can be done; else it expires by itself, and the caller's own outcome matters more."""
        try:
            self.release(name)
        except WarpError as error:
            log.warning("lease not released", lease=name, error=str(error))

    def holds(self, name: str) -> bool:
        """Whether this process has taken a lease, lost since or not."""
        with self._guard:
            return name in self._held

    def is_held(self, name: str) -> bool:
        """Whether any process holds a lease."""
        return self._store.lease_holder(name) is not None

    @contextmanager
    def holding(self, name: str) -> Iterator[None]:
        """A lease for the length of a block; raises ``LeaseHeld`` at its start."""
        self.take(name)
        try:
            yield
        finally:
            self.let_go(name)

    def note(self, name: str, text: str) -> None:
        """Keep a text beside a lease, for others to read; where that cannot be done, it is for the next time."""
        with self._guard:
            lease = self._held.get(name)
        if lease is None:
            return
        try:
            self._store.note(lease, text)
        except WarpError as error:
            log.warning("note of a lease not written", lease=name, error=str(error))

    def demand(self, name: str) -> None:
        """Raise ``FencedOut`` where the lease was lost to another process, or is no longer renewed."""
        if name in self._lost or not self._thread.is_alive():
            raise FencedOut(
                "Another process took over the lease while this one could not renew it",
                remedy="Nothing was written twice; this process stands by",
                lease=name,
            )

    def close(self) -> None:
        """Renew no more; what is not released expires by itself."""
        self._stopped.set()
        # Only a server that does not answer takes longer, and to close its connection would wait for it as well.
        self._thread.join(timeout=CLOSE_SECONDS)
        self._store.close()
        if not self._thread.is_alive():
            self._renewing_store.close()

    def _renew(self) -> None:
        self._connect()
        due_at = time.monotonic()
        while not self._stopped.wait(max(0.0, due_at - time.monotonic())):
            # From start to start: the answers of a slow line take as long as the pause between.
            due_at = time.monotonic() + RENEW_EVERY.total_seconds()
            with self._guard:
                held = list(self._held.values())
            if not held:
                continue
            try:
                failpoint("lease.renewing")
                renewed = {lease.name for lease in self._renewing_store.renew_leases(held, TTL)}
            except WarpError as error:
                # The fence protects the data; a lease that expires meanwhile is found lost below.
                log.warning("lease renewal failed", error=str(error))
                continue
            with self._guard:
                for lease in held:
                    if lease.name not in renewed and self._held.get(lease.name) == lease:
                        self._lost.add(lease.name)
            self._end_frozen()

    def _end_frozen(self) -> None:
        """Whoever was frozen in a transaction has lost its lease by then, but not the locks of its rows."""
        try:
            self._renewing_store.end_frozen()
        except WarpError as error:
            log.warning("frozen processes not looked for", error=str(error))

    def _connect(self) -> None:
        """Make the renewing connection before anything is to be renewed."""
        try:
            self._renewing_store.renew_leases([], TTL)
        except WarpError as error:
            log.warning("lease renewal not ready", error=str(error))
        finally:
            self._is_connected.set()
