"""The BigQuery source: a façade over its parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import ClassVar

from warp_resources.connectors.bigquery.catalog import Catalog
from warp_resources.connectors.bigquery.keyed import read_keys
from warp_resources.connectors.bigquery.marked import read_marked
from warp_resources.connectors.bigquery.options import BigQuerySourceOptions
from warp_resources.connectors.bigquery.originals import ENCODING, Originals, redacted, restored
from warp_resources.connectors.bigquery.session import Session
from warp_resources.connectors.bigquery.slices import Slices
from warp_resources.connectors.bigquery.storage import Storage
from warp_resources.connectors.interfaces import (
    ChangeStream,
    LogWindow,
    MarkedRange,
    ReadLimits,
    SourceScope,
    SourceTable,
)
from warp_resources.errors import OperatorError
from warp_resources.model.batches import Chunk, Original, Replacements, TableBatch
from warp_resources.model.capabilities import SourceCapabilities
from warp_resources.model.positions import KeyRange, Position
from warp_resources.model.tables import TableId


class BigQuerySource:
    """Datasets as databases, tables and views by query; there is no log, so every table is a batch table."""

    capabilities: ClassVar[SourceCapabilities] = SourceCapabilities(frozenset({"timestamp", "hash"}))
    Options: ClassVar[type[BigQuerySourceOptions]] = BigQuerySourceOptions

    def __init__(self, options: BigQuerySourceOptions) -> None:
        self._options = options
        self._session = Session(options, job_timeout=options.query_timeout)
        self._storage = Storage(options)
        self._catalog = Catalog(self._session)
        self._slices = Slices(self._session, self._storage, self._catalog)

    def check(self, scope: SourceScope, *, log: bool, known: bool = False) -> None:
        self._catalog.check(scope, known=known)
        if log:
            raise _no_log()

    def tables(self, scope: SourceScope) -> list[SourceTable]:
        return self._catalog.tables(scope)

    def key(self, scope: SourceScope, table: str) -> tuple[str, ...] | None:
        return self._catalog.key(scope, table)

    def now(self) -> datetime:
        # Costs nothing, since it reads no table.
        [[now]] = self._session.run("select current_timestamp()", kind="clock")
        at: datetime = now.astimezone(UTC)
        return at

    def log_end(self, scope: SourceScope) -> Position:
        raise _no_log()

    def log_window(self, scope: SourceScope) -> LogWindow | None:
        """There is no log."""
        return None

    def time_of(self, position: Position) -> datetime | None:
        """There are no positions."""
        return None

    def is_reached(self, position: Position, target: Position) -> bool:
        raise _no_log()

    def has_delivered(self, position: Position, other: Position) -> bool:
        raise _no_log()

    def stream(self, scope: SourceScope, after: Position) -> ChangeStream:
        raise _no_log()

    def plan(self, scope: SourceScope, table: str, slice_count: int) -> list[KeyRange]:
        return self._slices.plan(scope, table, slice_count)

    def read_chunk(
        self,
        scope: SourceScope,
        table: str,
        key_range: KeyRange,
        resume: str | None,
        limits: ReadLimits,
        not_before: Position | None,
    ) -> Chunk:
        return self._slices.read_chunk(scope, table, key_range, resume, limits)

    def read_marked(
        self, scope: SourceScope, table: str, marked: MarkedRange, limits: ReadLimits
    ) -> Iterator[TableBatch]:
        origin = self._catalog.origin(scope, table)
        if origin is not None:
            most = self._options.max_tick_bytes
            extended = scope.is_extended(table)
            yield from read_marked(self._session, self._storage, origin, marked, limits, most, extended=extended)

    def read_keys(self, scope: SourceScope, table: str, keys: Sequence[str], not_before: Position | None) -> TableBatch:
        origin = self._catalog.origin(scope, table)
        if origin is None or not keys:
            gone = self.restore(scope, table, [Original(key, ENCODING, key) for key in keys])
            return TableBatch(gone.table, gone.key, (), 0, deletes=gone.columns, delete_count=gone.row_count)
        most = self._options.max_tick_bytes
        return read_keys(self._session, self._storage, origin, keys, most, extended=scope.is_extended(table))

    def redact(self, scope: SourceScope, table: str, original: Original, replacements: Replacements) -> Original:
        return redacted(original, replacements)

    def restore(self, scope: SourceScope, table: str, originals: Sequence[Original]) -> TableBatch:
        its = restored(originals)
        return TableBatch(
            table=TableId(scope.schema, table),
            key=its.key,
            columns=its.columns,
            row_count=its.row_count,
            flaws=its.flaws,
            original=Originals(its.columns, its.key).of,
            byte_count=sum(len(one.record) for one in originals),
        )

    def close(self) -> None:
        self._slices.forget()
        self._storage.close()
        self._session.close()


def _no_log() -> OperatorError:
    return OperatorError(
        "BigQuery has no log of changes that a stream could follow",
        remedy="Set mode: batch, with a schedule and change_detection.column, or change_detection.strategy: hash",
    )
