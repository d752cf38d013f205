"""Keeps a change stream's cursor open and reads pages of events from it."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pymongo.errors import AutoReconnect, OperationFailure

from warp_resources.connectors.interfaces import SourceScope
from warp_resources.connectors.mongodb.commands import Cursor, Page
from warp_resources.connectors.mongodb.connect import Client
from warp_resources.connectors.mongodb.errors import OVERSIZED, TOKEN_NOT_FOUND, UNKNOWN_OPTION
from warp_resources.connectors.mongodb.events import Event, read_event
from warp_resources.connectors.mongodb.pipeline import stream_pipeline
from warp_resources.connectors.mongodb.tokens import ClusterTime, read_concern, tick_before, token_time
from warp_resources.errors import OversizedChange

_PAGE_EVENTS, _LARGE_PAGE_BYTES = 5_000, 8_000_000
_MOST_HANG_UPS = 4
_LEAST_STEADY_SECONDS, _MOST_STEADY_SECONDS, _SILENT_MILLISECONDS = 1.0, 2.0, 250
SILENT: list[dict[str, Any]] = [{"$changeStream": {}}, {"$match": {"operationType": "none"}}]
"""A stream in which nothing ever comes: it is waited on all the time, so that any break of the line shows."""


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events in commit order, the token after them, and whether the server may have more at hand.

    ``searched``: the cluster time up to which the server had looked when it found no event. ``is_merged``: it comes
    from shards, each with a clock of its own, so that more events of the last one's time may follow.
    """

    events: list[Event]
    token: dict[str, Any]
    is_full: bool
    searched: ClusterTime
    is_merged: bool = False


class Feed:
    """A change stream on the collections of a scope.

    Args:
        after: the token to start after; None means from now on.
    """

    def __init__(self, client: Client, scope: SourceScope, after: dict[str, Any] | None) -> None:
        self._client, self._scope, self._token = client, scope, after
        self._at: ClusterTime | None = None
        # Of the member that the cursor is on, and of no other: what one shows, the next one may not have yet.
        self._committed_at: ClusterTime = (0, 0)
        self._opened_with: dict[str, Any] | None = None
        self._is_merged = False
        self._is_expanded, self._is_slim = True, False
        self._hang_ups = 0
        self._cursor: Cursor | None = None

    def open(self) -> dict[str, Any]:
        """Open the cursor, unless it is open; the token of the place where it is."""
        while self._cursor is None:
            try:
                self._cursor = Cursor(self._client, self._scope.database, self._command())
            except OperationFailure as error:
                self._adapt(error)
            else:
                self._keep_place(self._cursor.first)
                self._opened_with, self._is_merged = self._token, self._client.is_mongos
        assert self._token is not None, "every change stream tells its token"
        return self._token

    def read(self, wait: timedelta, max_rows: int | None = None) -> EventPage:
        """The next page, at once if there are events, else after at most ``wait``; then it may be empty."""
        # A page that is full with one event names its token twice, which may be too much.
        batch_size = max(2, min(_PAGE_EVENTS, max_rows or _PAGE_EVENTS))
        while True:
            self.open()
            assert self._cursor is not None
            committed_at = self._committed_at
            try:
                page = self._cursor.more(batch_size, max(1, round(wait / timedelta(milliseconds=1))))
            except OperationFailure as error:
                self._adapt(error)
                continue
            except AutoReconnect as error:
                self._hang_up(error)
                continue
            return self._taken(page, batch_size, committed_at)

    def close(self) -> None:
        """Close the cursor; the next read opens it again at the same place."""
        self._committed_at = (0, 0)
        if self._cursor is not None:
            self._cursor.close()
            self._cursor = None

    def _hang_up(self, error: AutoReconnect) -> None:
        """Go on over another connection: of an answer that proves too large the server hangs up (seen with 6.0)."""
        self.close()
        # All the others, such as a timeout or another primary, are no end of a connection.
        if type(error) is not AutoReconnect:
            raise error
        self._hang_ups += 1
        if self._hang_ups > 1:
            self._demand_steady_line()
        if self._hang_ups > _MOST_HANG_UPS:
            raise self._oversized() from error
        self._is_slim = True

    def _demand_steady_line(self) -> None:
        """Raise where the line breaks without such an answer too, so that no bad line passes for a large change."""
        until = time.monotonic() + random.uniform(_LEAST_STEADY_SECONDS, _MOST_STEADY_SECONDS)
        command = {"aggregate": 1, "pipeline": SILENT, "cursor": {"batchSize": 0}, "readConcern": read_concern(None)}
        with Cursor(self._client, self._scope.database, command) as cursor:
            while time.monotonic() < until:
                cursor.more(max_time_ms=_SILENT_MILLISECONDS)

    def _oversized(self) -> OversizedChange:
        return OversizedChange(
            "One change is larger than MongoDB can send, even without its document",
            remedy="Keep keys below a megabyte; reading the schema's tables again starts the stream anew behind it",
            database=self._scope.database,
        )

    def _taken(self, page: Page, batch_size: int, committed_at: ClusterTime) -> EventPage:
        self._hang_ups = 0
        self._keep_place(page)
        searched = self._searched(committed_at)
        if page.cursor_id == 0 or (self._is_slim and page.documents):
            # After an invalidation the server closes the cursor; past the large event we want documents again.
            self._is_slim = False
            self.close()
        assert self._token is not None
        is_full = len(page.documents) >= batch_size or sum(map(len, page.documents)) > _LARGE_PAGE_BYTES
        return EventPage(list(map(read_event, page.documents)), self._token, is_full, searched, self._is_merged)

    def _searched(self, committed_at: ClusterTime) -> ClusterTime:
        """Up to which cluster time nothing can have escaped a server that found no more.

        Args:
            committed_at: what the member had told of before it was asked.
        """
        assert self._token is not None
        at = token_time(self._token)
        if self._is_merged:
            # Another shard may have an event of this very time.
            return tick_before(at)
        if self._token != self._opened_with:
            # The search itself has come there.
            return at
        # It may be yet to come, or come from another member that this one lags behind.
        return min(at, committed_at)

    def _keep_place(self, page: Page) -> None:
        self._committed_at = max(self._committed_at, page.committed_at)
        if page.resume_token is not None:
            self._token, self._at = page.resume_token, None

    def _command(self) -> dict[str, Any]:
        pipeline = stream_pipeline(
            self._scope, self._token, self._at, is_expanded=self._is_expanded, is_slim=self._is_slim
        )
        # An empty first page: it opens at once, and tells the place even where nothing happens.
        return {"aggregate": 1, "pipeline": pipeline, "cursor": {"batchSize": 0}, "readConcern": read_concern(None)}

    def _adapt(self, error: OperationFailure) -> None:
        """Change how the stream is opened so that this error does not come again, or raise it."""
        self.close()
        if error.code in UNKNOWN_OPTION and self._is_expanded:
            self._is_expanded = False
        elif error.code == TOKEN_NOT_FOUND and self._token is not None and self._at is None:
            # The event that the token names does not pass today's filter: the table list has changed.
            self._at = token_time(self._token)
        elif error.code == OVERSIZED and not self._is_slim:
            self._is_slim = True
        elif error.code == OVERSIZED:
            raise self._oversized() from error
        else:
            raise error
