"""Reads a database's change stream cut by cut."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from datetime import timedelta
from typing import Any

import bson

from warp_resources.connectors.interfaces import ReadLimits, SourceScope
from warp_resources.connectors.mongodb.connect import Client
from warp_resources.connectors.mongodb.cut import table_batches, table_events
from warp_resources.connectors.mongodb.errors import translated
from warp_resources.connectors.mongodb.events import TABLE_EFFECTS, Event
from warp_resources.connectors.mongodb.feed import EventPage, Feed
from warp_resources.connectors.mongodb.gathering import Gathering
from warp_resources.connectors.mongodb.lookup import LookUp, NoRoom
from warp_resources.connectors.mongodb.tokens import (
    ClusterTime,
    position_of,
    seen_time,
    tick_before,
    token_of,
    token_time,
)
from warp_resources.connectors.mongodb.weights import Weights
from warp_resources.model.batches import Changes, TableBatch
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
        self._page = EventPage([], token_of(after), is_full=False, searched=seen_time(after))
        self._weights = Weights(client, scope)
        self._oversized: bytes | None = None

    def next(self, limits: ReadLimits, wait: timedelta) -> Changes | None:
        """The next cut; see ``interfaces.ChangeStream.next``."""
        with translated(self._address):
            cut, batches = self._read(limits, min(wait, self._longest_wait))
        before, self._position = self._position, self._place_after(cut)
        if not cut:
            return Changes((), self._position) if self._position != before else None
        return Changes(
            batches,
            self._position,
            len(cut),
            table_events(self._scope, cut),
            cut[-1].occurred_at,
            sum(batch.byte_count for batch in batches),
            has_more=bool(self._buffer) or self._page.is_full,
        )

    def close(self) -> None:
        self._feed.close()

    def _read(self, limits: ReadLimits, wait: timedelta) -> tuple[list[Event], tuple[TableBatch, ...]]:
        """A cut and its batches: as many events as turn out to have room."""
        cut, caution = self._gather(limits, wait), 1
        while cut:
            look_up = LookUp(self._client, self._scope.database, cut[-1].time, _room(limits, cut))
            try:
                batches = table_batches(self._scope, cut, look_up)
            except NoRoom:
                self._weights.raise_to(look_up.row_bytes(), caution)
                cut, caution = self._shortened(limits, cut), 2 * caution
            else:
                self._weights.learn(look_up.row_bytes())
                return cut, batches
        return [], ()

    def _shortened(self, limits: ReadLimits, cut: list[Event]) -> list[Event]:
        """Read less than this cut: at most half of it, or part of the transaction that it is."""
        self._buffer.extendleft(reversed(cut))
        if cut[0].transaction is not None and cut[0].transaction == cut[-1].transaction:
            self._oversized = cut[0].transaction
        else:
            limits = replace(limits, max_rows=max(1, len(cut) // 2))
        return self._gather(limits, _AT_ONCE)

    def _gather(self, limits: ReadLimits, wait: timedelta) -> list[Event]:
        gathering = Gathering(limits, self._weights.weighing(), self._oversized)
        while self._buffer or self._refill(gathering, limits, wait):
            event = self._buffer[0]
            if not gathering.takes(event):
                self._buffer.extendleft(reversed(gathering.excess(event)))
                break
            gathering.add(self._buffer.popleft())
            # What follows may belong to another table of the same name.
            if event.key is None and event.effect in TABLE_EFFECTS:
                break
        return gathering.events

    def _refill(self, gathering: Gathering, limits: ReadLimits, wait: timedelta) -> bool:
        """Read a page if the cut is to have more; whether there are events."""
        if gathering.events and not gathering.is_in_transaction and (gathering.is_full or not self._page.is_full):
            return False
        self._page = self._feed.read(_AT_ONCE if gathering.events else wait, limits.max_rows)
        self._buffer.extend(self._page.events)
        return bool(self._buffer)

    def _place_after(self, cut: list[Event]) -> Position:
        token: dict[str, Any] = bson.decode(cut[-1].token) if self._buffer else self._page.token
        return position_of(token, max(seen_time(self._position), self._seen_after(cut)))

    def _seen_after(self, cut: list[Event]) -> ClusterTime:
        """The cluster time up to which nothing is outstanding."""
        if self._buffer:
            last = cut[-1].time
            return last if self._buffer[0].time != last else tick_before(last)
        if not self._page.events:
            return self._page.searched
        reached, last = token_time(self._page.token), cut[-1].time
        if reached > last:
            return tick_before(reached)
        # Another event of the same time may not have fitted into the page.
        may_follow = self._page.is_full or self._page.is_merged or cut[-1].transaction is not None
        return tick_before(last) if may_follow else last


def _room(limits: ReadLimits, cut: list[Event]) -> int:
    """The bytes that looked-up documents may take; a quarter more than foretold, as their sizes vary."""
    own = sum(event.size for event in cut)
    return max(limits.max_bytes - own, limits.max_bytes // 2) + limits.max_bytes // 4
