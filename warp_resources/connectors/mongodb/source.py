"""The MongoDB source: a façade over its parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from bson.codec_options import CodecOptions

from warp_resources.connectors.interfaces import (
    ChangeStream,
    LogWindow,
    MarkedRange,
    ReadLimits,
    SourceScope,
    SourceTable,
)
from warp_resources.connectors.mongodb import checks, keyed, marked, snapshot, tables
from warp_resources.connectors.mongodb.connect import Connection
from warp_resources.connectors.mongodb.decode import decode
from warp_resources.connectors.mongodb.errors import translated
from warp_resources.connectors.mongodb.feed import Feed
from warp_resources.connectors.mongodb.log_window import log_window
from warp_resources.connectors.mongodb.options import MongoOptions
from warp_resources.connectors.mongodb.raw import KEY
from warp_resources.connectors.mongodb.redaction import redacted
from warp_resources.connectors.mongodb.restoring import restored
from warp_resources.connectors.mongodb.stream import MongoChangeStream
from warp_resources.connectors.mongodb.tokens import (
    applied_time,
    position_of,
    seen_time,
    sort_key,
    tick_before,
    token_of,
    token_time,
)
from warp_resources.model.batches import Chunk, Original, Replacements, TableBatch
from warp_resources.model.capabilities import SourceCapabilities
from warp_resources.model.positions import KeyRange, Position
from warp_resources.model.tables import TableId

_AWARE: CodecOptions[dict[str, Any]] = CodecOptions(tz_aware=True)


class MongoSource:
    """Collections as tables, ``_id`` as their key, and the change stream as their log."""

    capabilities: ClassVar[SourceCapabilities] = SourceCapabilities(frozenset({"log", "timestamp", "hash"}))
    Options: ClassVar[type[MongoOptions]] = MongoOptions

    def __init__(self, options: MongoOptions) -> None:
        self._connection = Connection(options)
        # A command that waits must answer before the connection gives up.
        self._longest_wait = timedelta(seconds=options.read_timeout / 2)
        self._address = self._connection.address

    def check(self, scope: SourceScope, *, log: bool, known: bool = False) -> None:
        with translated(self._address):
            checks.check(self._connection.client, scope, self._address, log=log, known=known)

    def tables(self, scope: SourceScope) -> list[SourceTable]:
        with translated(self._address):
            return tables.tables(self._connection.client, scope)

    def key(self, scope: SourceScope, table: str) -> tuple[str, ...]:
        """Deletes name nothing else."""
        return (KEY,)

    def now(self) -> datetime:
        with translated(self._address):
            hello: dict[str, Any] = self._connection.client.admin.command("hello", codec_options=_AWARE)
        now: datetime = hello["localTime"]
        return now.astimezone(UTC)

    def log_end(self, scope: SourceScope) -> Position:
        # From the member that streams are read from: another's log may end later.
        with translated(self._address):
            feed = Feed(self._connection.reader(), scope, None)
            try:
                token = feed.open()
            finally:
                feed.close()
        # A stream that starts now starts one tick after what its server has seen.
        return position_of(token, tick_before(token_time(token)))

    def log_window(self, scope: SourceScope) -> LogWindow | None:
        with translated(self._address):
            return log_window(self._connection.reader(), self._address)

    def time_of(self, position: Position) -> datetime | None:
        seconds, _ = seen_time(position)
        return datetime.fromtimestamp(seconds, UTC)

    def is_reached(self, position: Position, target: Position) -> bool:
        return seen_time(position) >= seen_time(target)

    def has_delivered(self, position: Position, other: Position) -> bool:
        # A token that names no event sorts before those of its time, all of which may have been delivered.
        return sort_key(position) >= sort_key(other) or seen_time(position) >= token_time(token_of(other))

    def stream(self, scope: SourceScope, after: Position) -> ChangeStream:
        return MongoChangeStream(self._connection.reader(), scope, after, self._address, self._longest_wait)

    def plan(self, scope: SourceScope, table: str, slice_count: int) -> list[KeyRange]:
        with translated(self._address):
            return snapshot.plan(self._connection.reader(), scope.database, table, slice_count)

    def read_chunk(
        self,
        scope: SourceScope,
        table: str,
        key_range: KeyRange,
        resume: str | None,
        limits: ReadLimits,
        not_before: Position | None,
    ) -> Chunk:
        after = None if not_before is None else applied_time(not_before)
        with translated(self._address):
            reader = self._connection.reader()
            return snapshot.read_chunk(
                reader,
                scope.database,
                TableId(scope.schema, table),
                key_range,
                resume,
                limits,
                after,
                extended=scope.is_extended(table),
            )

    def read_marked(
        self, scope: SourceScope, table: str, marked_range: MarkedRange, limits: ReadLimits
    ) -> Iterator[TableBatch]:
        with translated(self._address):
            reader = self._connection.reader()
            yield from marked.read_marked(
                reader,
                scope.database,
                TableId(scope.schema, table),
                marked_range,
                limits,
                extended=scope.is_extended(table),
            )

    def redact(self, scope: SourceScope, table: str, original: Original, replacements: Replacements) -> Original:
        return redacted(original, replacements, extended=scope.is_extended(table))

    def read_keys(self, scope: SourceScope, table: str, keys: Sequence[str], not_before: Position | None) -> TableBatch:
        after = None if not_before is None else applied_time(not_before)
        with translated(self._address):
            reader = self._connection.reader()
            extended = scope.is_extended(table)
            return keyed.read_keys(reader, scope.database, TableId(scope.schema, table), keys, after, extended=extended)

    def restore(self, scope: SourceScope, table: str, originals: Sequence[Original]) -> TableBatch:
        documents, flaws = restored(originals)
        named = TableId(scope.schema, table)
        return decode(named, documents, flaws=flaws, extended=scope.is_extended(table))

    def close(self) -> None:
        self._connection.close()
