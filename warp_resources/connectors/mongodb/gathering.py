"""Decides which events make up a cut: as many as fit, and whole transactions where they fit."""

from __future__ import annotations

from collections.abc import Callable

from warp_resources.connectors.interfaces import ReadLimits
from warp_resources.connectors.mongodb.events import Event


class Gathering:
    """The events of a cut in the making.

    Args:
        weigh: the bytes that an event will probably cost; asked once for each event that is added.
        oversized: a transaction that has turned out not to fit into one cut.
    """

    def __init__(self, limits: ReadLimits, weigh: Callable[[Event], int], oversized: bytes | None = None) -> None:
        self._limits, self._weigh, self._oversized = limits, weigh, oversized
        self._bytes = self._own_bytes = self._last_start = 0
        self.events: list[Event] = []

    @property
    def is_full(self) -> bool:
        """Whether the limits are reached."""
        max_rows = self._limits.max_rows
        return self._bytes >= self._limits.max_bytes or (max_rows is not None and len(self.events) >= max_rows)

    @property
    def is_in_transaction(self) -> bool:
        """Whether more of the last event's transaction may follow."""
        return bool(self.events) and self.events[-1].transaction is not None

    def takes(self, event: Event) -> bool:
        """Whether the event still belongs into the cut."""
        if not self.events or not self.is_full:
            return True
        # One transaction alone may exceed the rows and, as long as it may prove lighter, the bytes foretold.
        known_bytes = self._bytes if event.transaction == self._oversized else self._own_bytes
        return self._goes_on(event) and self._last_start == 0 and known_bytes < self._limits.max_bytes

    def add(self, event: Event) -> None:
        if not self._goes_on(event):
            self._last_start = len(self.events)
        self._bytes += self._weigh(event)
        self._own_bytes += event.size
        self.events.append(event)

    def excess(self, following: Event) -> list[Event]:
        """Take out, for the next cut, the start of a transaction that goes on with ``following``."""
        if not self._goes_on(following) or self._last_start == 0:
            return []
        excess = self.events[self._last_start :]
        del self.events[self._last_start :]
        return excess

    def _goes_on(self, event: Event) -> bool:
        return self.is_in_transaction and event.transaction == self.events[-1].transaction
