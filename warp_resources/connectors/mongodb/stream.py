"""Reads a database's change stream cut by cut."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from datetime import timedelta
from typing import Any

import bson

from warp_resources.connectors.interfaces import ReadLimits, SourceScope
from warp_resources.connectors.mongodb.connect import Client
from warp_resources.connectors.mongodb.cut import table_batches, table_events
from warp_resources.connectors.mongodb.errors import translated
from warp_resources.connectors.mongodb.events import TABLE_EFFECTS, Effect, Event
from warp_resources.connectors.mongodb.feed import EventPage, Feed
from warp_resources.connectors.mongodb.gathering import Gathering
from warp_resources.connectors.mongodb.scope import is_in_scope
from warp_resources.connectors.mongodb.snapshot import collection_size
from warp_resources.connectors.mongodb.tokens import (
    ClusterTime,
    position_of,
    seen_time,
    tick_before,
    token_of,
    token_time,
)
from warp_resources.model.batches import Changes
from warp_resources.model.positions import Position

_AT_ONCE = timedelta(milliseconds=1)


class MongoChangeStream:
    """An open place in the oplog; see ``interfaces.ChangeStream``.

    Args:
        address: the server, for messages.
        longest_wait: what one command may wait, below the connection's read timeout.
    """

    def __init__(
        self, client: Client, scope: SourceScope, after: Position, address: str, longest_wait: timedelta
    ) -> None:
        self._client, self._scope, self._address, self._longest_wait = client, scope, address, longest_wait
        self._feed = Feed(client, scope, token_of(after))
        self._position = position_of(token_of(after), seen_time(after))
        self._buffer: deque[Event] = deque()
        self._page = EventPage([], token_of(after), is_full=False)
        self._row_bytes: dict[str, int] = {}

    def next(self, limits: ReadLimits, wait: timedelta) -> Changes | None:
        """The next cut; see ``interfaces.ChangeStream.next``."""
        with translated(self._address):
            cut = self._gather(limits, min(wait, self._longest_wait))
            before, self._position = self._position, self._place_after(cut)
            if not cut:
                return Changes((), self._position) if self._position != before else None
            batches = table_batches(self._client, self._scope, cut)
        return Changes(
            batches,
            self._position,
            len(cut),
            table_events(self._scope, cut),
            cut[-1].occurred_at,
            sum(batch.byte_count for batch in batches),
        )

    def close(self) -> None:
        self._feed.close()

    def _gather(self, limits: ReadLimits, wait: timedelta) -> list[Event]:
        gathering = Gathering(limits, self._weighing())
        while self._buffer or self._refill(gathering, limits, wait):
            if not gathering.takes(self._buffer[0]):
                self._buffer.extendleft(reversed(gathering.excess(self._buffer[0])))
                break
            gathering.add(self._buffer.popleft())
            # What follows may belong to another table of the same name.
            if gathering.events[-1].effect in TABLE_EFFECTS:
                break
        return gathering.events

    def _refill(self, gathering: Gathering, limits: ReadLimits, wait: timedelta) -> bool:
        """Read a page if the cut is to have more; whether there are events."""
        if gathering.events and not gathering.is_in_transaction and (gathering.is_full or not self._page.is_full):
            return False
        self._page = self._feed.read(_AT_ONCE if gathering.events else wait, limits.max_rows)
        self._buffer.extend(self._page.events)
        return bool(self._buffer)

    def _weighing(self) -> Callable[[Event], int]:
        looked_up: set[tuple[str, Hashable]] = set()

        def weigh(event: Event) -> int:
            key = (event.collection, event.identity)
            if event.effect is not Effect.CHANGED or key in looked_up or not is_in_scope(self._scope, event.collection):
                return event.size
            looked_up.add(key)
            return event.size + self._row_size(event.collection)

        return weigh

    def _row_size(self, collection: str) -> int:
        if collection not in self._row_bytes:
            size = collection_size(self._client, self._scope.database, collection)
            self._row_bytes[collection] = size.bytes // max(1, size.rows)
        return self._row_bytes[collection]

    def _place_after(self, cut: list[Event]) -> Position:
        token: dict[str, Any] = bson.decode(cut[-1].token) if self._buffer else self._page.token
        return position_of(token, max(seen_time(self._position), self._seen_after(cut)))

    def _seen_after(self, cut: list[Event]) -> ClusterTime:
        """The cluster time up to which nothing is outstanding."""
        if self._buffer:
            last = cut[-1].time
            return last if self._buffer[0].time != last else tick_before(last)
        reached = token_time(self._page.token)
        if not self._page.events:
            # The server has looked at everything up to its token and found nothing.
            return reached
        last = cut[-1].time
        if reached > last:
            return tick_before(reached)
        # Another event of the same time may not have fitted into the page.
        return tick_before(last) if self._page.is_full or cut[-1].transaction is not None else last
