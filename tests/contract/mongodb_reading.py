"""Reads a MongoDB source the way the engine does, and shows what came as plain Python values."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pymongo.database import Database

from warp_resources.connectors.interfaces import ChangeStream, ReadLimits, SourceScope
from warp_resources.connectors.mongodb.source import MongoSource
from warp_resources.model.batches import Changes, RawColumn, TableBatch
from warp_resources.model.positions import KeyRange, Position

LIMITS = ReadLimits(None, 64_000_000)
WAIT = timedelta(milliseconds=200)
PATIENCE_SECONDS = 60.0


@dataclass
class Reading:
    """A source, the scope that a test reads, and the database that it writes."""

    source: MongoSource
    scope: SourceScope
    database: Database[dict[str, Any]]

    def narrowed(self, *include: str, exclude: tuple[str, ...] = ()) -> SourceScope:
        return SourceScope(self.scope.schema, self.scope.database, include, exclude)

    def end(self) -> Position:
        return stored(self.source.log_end(self.scope))

    def stream(self, after: Position, scope: SourceScope | None = None) -> ChangeStream:
        return self.source.stream(scope or self.scope, after)

    def cuts(self, after: Position, limits: ReadLimits = LIMITS, scope: SourceScope | None = None) -> list[Changes]:
        """Every cut from a position up to now."""
        scope = scope or self.scope
        return list(drain(self.source, self.stream(after, scope), self.source.log_end(scope), limits))

    def chunks(self, table: str, part: KeyRange = KeyRange(), limits: ReadLimits = LIMITS) -> Iterator[TableBatch]:  # noqa: B008
        resume = None
        while True:
            chunk = self.source.read_chunk(self.scope, table, part, resume, limits, None)
            yield chunk.batch
            if chunk.is_last:
                return
            assert chunk.resume != resume
            resume = chunk.resume


def stored(position: Position) -> Position:
    """A position as it comes back from the destination."""
    read: Position = json.loads(json.dumps(position))
    return read


def drain(
    source: MongoSource, stream: ChangeStream, target: Position, limits: ReadLimits = LIMITS
) -> Iterator[Changes]:
    """The cuts of a stream up to a position; closes it."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    try:
        while time.monotonic() < deadline:
            changes = stream.next(limits, WAIT)
            if changes is not None:
                yield changes
                if source.is_reached(stored(changes.position), target):
                    return
        raise AssertionError("the stream did not come to its target")
    finally:
        stream.close()


def rows_of(batch: TableBatch) -> list[dict[str, Any]]:
    return _values(batch.columns, batch.row_count)


def deletes_of(batch: TableBatch) -> list[Any]:
    return [row["_id"] for row in _values(batch.deletes, batch.delete_count)]


def _values(columns: tuple[RawColumn, ...], count: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [{} for _ in range(count)]
    for column in columns:
        for variant in column.variants:
            values = variant.values.view("int64") if str(variant.type) == "timestamp_tz" else variant.values
            for row, value in zip(rows, values.to_pylist(), strict=True):
                if value is not None:
                    assert column.name not in row, "variants are disjoint"
                    row[column.name] = value
    return rows
