"""Makes the samples of all metrics from what the destination and the source say now."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import psutil

from warp_resources.cli.naming import chosen_schemas
from warp_resources.config import WarpConfig, schema_settings
from warp_resources.connectors.interfaces import SourceScope
from warp_resources.errors import WarpError
from warp_resources.model.positions import Holder, Position, StreamState
from warp_resources.model.statistics import TableStatistics
from warp_resources.model.tables import TableId
from warp_resources.pipeline.engine import BATCH, STREAM
from warp_resources.pipeline.lease import this_process
from warp_resources.pipeline.options import open_destination, open_source
from warp_resources.telemetry import metrics
from warp_resources.telemetry.metrics import Metric, Sample

IDLE_MARKER_SECONDS = 10.0
"""An idle stream moves its marker more often than this."""
_ENDS_KEPT = 240

SOURCE, DESTINATION = "source", "destination"


class Measurements:
    """What an exporter asks for samples: one call per scrape, on connections of its own."""

    def __init__(self, config: WarpConfig) -> None:
        self._config = config
        self._source = open_source(config)
        self._destination = open_destination(config)
        self._ends: dict[str, deque[tuple[float, Position]]] = {}
        self._before: tuple[float, dict[TableId, int]] | None = None

    def __call__(self) -> list[Sample]:
        """The samples of now. A database that does not answer is one of them, not an error."""
        schemas = chosen_schemas(self._config)
        found: list[Sample] = []
        source_up = destination_up = True
        counts: dict[TableId, int] = {}
        for schema in schemas:
            end = self._log_end(schema)
            source_up = source_up and end is not None
            try:
                found += self._schema_samples(schema, counts)
            except WarpError:
                destination_up = False
                found.append(Sample(metrics.SYNC_STATUS, self._labels(TableId(schema, "")), metrics.ERROR))
        found += self._rates(counts)
        databases = sorted({schema_settings(self._config, schema).database for schema in schemas})
        found += [Sample(metrics.CONNECTION_UP, (SOURCE, database), source_up) for database in databases]
        found += [Sample(metrics.CONNECTION_UP, (DESTINATION, database), destination_up) for database in databases]
        return found

    def close(self) -> None:
        self._source.close()
        self._destination.close()

    def _log_end(self, schema: str) -> Position | None:
        """Note where the source's log ends now: how long the marker takes to get there is the lag."""
        settings = schema_settings(self._config, schema)
        scope = SourceScope(schema, settings.database, settings.include, settings.exclude)
        try:
            if settings.mode != STREAM:
                self._source.now()
                return {}
            end = self._source.log_end(scope)
        except WarpError:
            return None
        self._ends.setdefault(schema, deque(maxlen=_ENDS_KEPT)).append((time.monotonic(), end))
        return end

    def _schema_samples(self, schema: str, counts: dict[TableId, int]) -> Iterator[Sample]:
        stream, states = self._destination.stream_state(schema), self._destination.table_states(schema)
        figures = {one.table.name: one for one in self._destination.statistics(schema)}
        holders = self._holders(schema, list(states)) if stream is not None or states else {}
        lag = self._stream_lag(schema, stream) if stream is not None else None
        yield from self._memory(schema, holders.get(""))
        for name in sorted({"", *states, *figures} if stream is not None else {*states, *figures}):
            table = TableId(schema, name)
            one = figures.get(name) or TableStatistics(table)
            streamed = not name or (name in states and states[name].mode == STREAM)
            yield from self._table_samples(one, holders.get("" if streamed else name))
            if not name:
                continue
            counts[table] = one.rows_written + one.rows_deleted
            if lag is not None and streamed:
                yield Sample(metrics.LAG, self._labels(table), lag)
            updated_at = stream.updated_at if streamed and stream is not None else one.finished_at
            if updated_at is not None:
                yield Sample(metrics.LAST_SUCCESS, self._labels(table), updated_at.timestamp())
                if not streamed:
                    yield Sample(metrics.LAG, self._labels(table), _age(updated_at))

    def _table_samples(self, one: TableStatistics, holder: Holder | None) -> Iterator[Sample]:
        labels = self._labels(one.table)
        failed = one.status == "failed" and holder is None
        status = metrics.ERROR if failed else metrics.ACTIVE if holder else metrics.INACTIVE
        yield Sample(metrics.SYNC_STATUS, labels, status)
        if one.table.name:
            done = {"write": one.rows_written, "delete": one.rows_deleted, "reject": one.rows_rejected}
            yield from _by_kind(metrics.RECORDS_PROCESSED, labels, done)
            yield Sample(metrics.BYTES_TRANSFERRED, labels, one.byte_count)
            yield Sample(metrics.DEAD_LETTERS, labels, one.dead_letters)
            yield Sample(metrics.CONVERSION_WARNINGS, labels, one.conversion_warnings)
        yield from _by_kind(metrics.ERROR_COUNT, labels, one.errors)
        yield from _by_kind(metrics.SCHEMA_CHANGES, labels, one.schema_changes)

    def _holders(self, schema: str, tables: list[str]) -> dict[str, Holder | None]:
        """Who holds the stream (the empty name) and each table's batch lease."""
        store = self._destination.state_store()
        try:
            batch = {name: store.lease_holder(f"{BATCH}:{TableId(schema, name)}") for name in tables}
            return {**batch, "": store.lease_holder(f"{STREAM}:{schema}")}
        finally:
            store.close()

    def _memory(self, schema: str, holder: Holder | None) -> Iterator[Sample]:
        """Only a process of this host can be looked at."""
        if holder is None or holder.host != this_process("").host:
            return
        try:
            used = psutil.Process(holder.pid).memory_info().rss
        except psutil.Error:
            return
        yield Sample(metrics.MEMORY_USAGE, (schema_settings(self._config, schema).database, schema), used)

    def _stream_lag(self, schema: str, stream: StreamState) -> float:
        """The age of the oldest noted end of the log that the marker has not reached."""
        ends = self._ends.get(schema, deque())
        while ends and self._source.is_reached(stream.position, ends[0][1]):
            ends.popleft()
        unreached = time.monotonic() - ends[0][0] if ends else 0.0
        silent = _age(stream.updated_at)
        return max(unreached, silent if silent > IDLE_MARKER_SECONDS else 0.0)

    def _rates(self, counts: dict[TableId, int]) -> Iterator[Sample]:
        now = time.monotonic()
        at, before = self._before or (now, {})
        self._before = now, counts
        if now - at <= 0:
            return
        for table, count in counts.items():
            rate = max(0, count - before.get(table, count)) / (now - at)
            yield Sample(metrics.PROCESSING_RATE, self._labels(table), rate)

    def _labels(self, table: TableId) -> tuple[str, ...]:
        return (schema_settings(self._config, table.schema).database, table.schema, table.name)


def _by_kind(metric: Metric, labels: tuple[str, ...], counts: Mapping[str, int]) -> Iterator[Sample]:
    for kind, count in counts.items():
        yield Sample(metric, (*labels, kind), count)


def _age(at: datetime) -> float:
    return max(0.0, (datetime.now(UTC) - at).total_seconds())
