"""Keeps leases and mandates in memory, for all the engines of one process."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from datetime import timedelta

from warp_resources.connectors.holders import is_dead
from warp_resources.connectors.memory.store import HeldLease, MemoryStore
from warp_resources.errors import LeaseHeld
from warp_resources.model.positions import Holder, Lease


class MemoryStateStore:
    """The ``StateStore`` of a ``MemoryStore``; its clock is the monotonic one of this process."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def take_lease(self, name: str, holder: Holder, ttl: timedelta) -> Lease:
        with self._store.exclusive():
            held = self._store.leases.get(name)
            if held is not None and held.expires > time.monotonic() and not is_dead(held.holder, holder.host):
                raise LeaseHeld(
                    f"The lease {name!r} is held by another process",
                    remedy="Wait for it, or end that process",
                    holder=held.holder,
                )
            token = uuid.uuid4().hex
            self._store.leases[name] = HeldLease(holder, token, time.monotonic() + ttl.total_seconds())
            return Lease(name, token)

    def renew_leases(self, leases: Sequence[Lease], ttl: timedelta) -> list[Lease]:
        with self._store.exclusive():
            ours = [lease for lease in leases if self._is_ours(lease)]
            for lease in ours:
                self._store.leases[lease.name].expires = time.monotonic() + ttl.total_seconds()
            return ours

    def release_lease(self, lease: Lease) -> None:
        with self._store.exclusive():
            if self._is_ours(lease):
                del self._store.leases[lease.name]

    def lease_holder(self, name: str) -> Holder | None:
        with self._store.exclusive():
            held = self._held(name)
            return None if held is None else held.holder

    def note(self, lease: Lease, text: str) -> None:
        with self._store.exclusive():
            held = self._held(lease.name)
            if held is not None and self._is_ours(lease):
                held.note = text

    def noted(self, name: str) -> str | None:
        with self._store.exclusive():
            held = self._held(name)
            return None if held is None else held.note

    def end_frozen(self) -> None:
        """Nobody waits for a lock here that a frozen process could hold."""

    def set_mandate(self, schema: str, ttl: timedelta) -> None:
        with self._store.exclusive():
            self._store.mandates[schema] = time.monotonic() + ttl.total_seconds()

    def has_mandate(self, schema: str) -> bool:
        with self._store.exclusive():
            return self._store.mandates.get(schema, 0.0) > time.monotonic()

    def close(self) -> None:
        """Nothing to close."""

    def _held(self, name: str) -> HeldLease | None:
        held = self._store.leases.get(name)
        return held if held is not None and held.expires > time.monotonic() else None

    def _is_ours(self, lease: Lease) -> bool:
        held = self._store.leases.get(lease.name)
        return held is not None and held.token == lease.token
