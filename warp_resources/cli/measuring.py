"""Makes the samples of all metrics from what the destination and the source say now."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime

import psutil

from warp_resources.cli.naming import chosen_schemas
from warp_resources.cli.staleness import Pace
from warp_resources.config import WarpConfig, schema_settings
from warp_resources.connectors.interfaces import Destination, LogWindow, Source, SourceScope, StateStore
from warp_resources.errors import OperatorError, TransientError, WarpError
from warp_resources.model.positions import Holder, Position, StreamState, TableState, batch_lease, stream_lease
from warp_resources.model.statistics import TableStatistics
from warp_resources.model.tables import TableId
from warp_resources.pipeline.arrival import is_noted, noted_place
from warp_resources.pipeline.engine import STREAM
from warp_resources.pipeline.history import outlooks
from warp_resources.pipeline.lease import this_process
from warp_resources.pipeline.options import open_destination, open_source, open_state
from warp_resources.telemetry import metrics
from warp_resources.telemetry.metrics import Metric, Sample
from warp_resources.telemetry.probe import Probe

_ENDS_KEPT = 240

SOURCE, DESTINATION = "source", "destination"
FAILED, RUNNING = "failed", "running"


@dataclass(frozen=True, slots=True)
class LogEnd:
    """Where a schema's log ended, at a time of this process's clock; no position in batch mode.

    ``window``: how far back it goes, None where that is not known.
    """

    at: float
    position: Position | None
    window: LogWindow | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """What the destination said of a schema, at a time of this process's clock.

    ``place``: how far the stream has come where its marker is saved less often.
    """

    at: float
    stream: StreamState | None
    place: Position | None
    states: Mapping[str, TableState]
    figures: Mapping[str, TableStatistics]
    holders: Mapping[str, Holder | None]


class Facts:
    """What a destination may have to be paid for to tell, asked for anew as often as it may change at most."""

    def __init__(self, seconds: float, destination: Destination) -> None:
        self._seconds, self._destination = seconds, destination
        self._known: dict[str, tuple[float, dict[str, TableStatistics]]] = {}
        self._took_writes_at: float | None = None

    def takes_writes(self) -> bool:
        """One that is read-only is as good as away; what it lacks a grant for, it says to who writes."""
        at = self._took_writes_at
        if at is None or time.monotonic() - at >= self._seconds:
            self._took_writes_at = time.monotonic() if _takes_writes(self._destination) else None
        return self._took_writes_at is not None

    def figures(self, schema: str) -> dict[str, TableStatistics]:
        """By table name; the empty name is the schema as a whole."""
        at, found = self._known.get(schema, (0.0, {}))
        if schema not in self._known or time.monotonic() - at >= self._seconds:
            found = {one.table.name: one for one in self._destination.statistics(schema)}
            self._known[schema] = time.monotonic(), found
        return found


class Measurements:
    """What an exporter asks for samples: each side is asked in a thread of its own, on connections of its own."""

    def __init__(self, config: WarpConfig) -> None:
        self._config = config
        self._schemas = chosen_schemas(config)
        source, destination = open_source(config), open_destination(config)
        # For comparing positions, which asks no server.
        self._source = source
        self._ends: dict[str, deque[LogEnd]] = {}
        self._counts: dict[TableId, tuple[float, int]] = {}
        self._rates: dict[TableId, float] = {}
        self._pace = Pace.of(config, destination.capabilities)
        facts = Facts(self._pace.interval_seconds, destination)
        self._log = Probe(lambda: _ends(config, self._schemas, source), source.close)
        self._metadata = Probe(lambda: _readings(config, self._schemas, destination, facts), destination.close)

    def __call__(self) -> list[Sample]:
        """The samples of now, in about two seconds. A database that does not answer is one of them, no error."""
        ends, readings = self._log.latest() or {}, self._metadata.latest() or {}
        for schema, end in ends.items():
            self._note(schema, end)
        found: list[Sample] = []
        for schema in self._schemas:
            reading = readings.get(schema)
            if reading is None:
                found.append(Sample(metrics.SYNC_STATUS, self._labels(TableId(schema, "")), metrics.ERROR))
            else:
                found += self._schema_samples(schema, reading)
                found += self._history(schema, reading, ends.get(schema))
        for role, answers in ((SOURCE, ends), (DESTINATION, readings)):
            is_up = len(answers) == len(self._schemas)
            databases = sorted({schema_settings(self._config, schema).database for schema in self._schemas})
            found += [Sample(metrics.CONNECTION_UP, (role, database), is_up) for database in databases]
        return found

    def close(self) -> None:
        self._log.close()
        self._metadata.close()

    def _note(self, schema: str, end: LogEnd) -> None:
        """How long the marker takes to get to where the log ends now is the lag."""
        noted = self._ends.setdefault(schema, deque(maxlen=_ENDS_KEPT))
        if end.position is not None and (not noted or noted[-1].at < end.at):
            noted.append(end)

    def _schema_samples(self, schema: str, reading: Reading) -> Iterator[Sample]:
        stream, states, figures = reading.stream, reading.states, reading.figures
        lag = self._stream_lag(schema, stream, reading.place) if stream is not None else None
        whole = figures.get("")
        # Where tables are set aside, that is how a run fails of which all others are complete.
        run_failures = (RUNNING,) if any(its.aside_since for its in states.values()) else (FAILED, RUNNING)
        yield from self._memory(schema, reading.holders.get(""))
        for name in sorted({"", *states, *figures} if stream is not None else {*states, *figures}):
            table = TableId(schema, name)
            one = figures.get(name) or TableStatistics(table)
            streamed = not name or (name in states and states[name].mode == STREAM)
            aside_since = states[name].aside_since if name in states else None
            holder = reading.holders.get("" if streamed else name)
            run = whole if streamed and whole is not None else one
            # Who runs and does not hold its lease was interrupted, and may be about to try again.
            has_failed = holder is None and (one.status == FAILED or run.status in run_failures)
            yield from self._table_samples(one, holder, has_failed=has_failed or aside_since is not None)
            if not name:
                continue
            yield from self._rate(table, reading.at, one.rows_written + one.rows_deleted)
            if lag is not None and streamed:
                yield Sample(metrics.LAG, self._labels(table), max(lag, _age(aside_since) if aside_since else 0.0))
            updated_at = stream.updated_at if streamed and stream is not None else one.finished_at
            # A table that its stream goes on without is as old as its place.
            updated_at = aside_since or updated_at
            if updated_at is not None:
                yield Sample(metrics.LAST_SUCCESS, self._labels(table), updated_at.timestamp())
                if not streamed:
                    yield Sample(metrics.LAG, self._labels(table), _age(updated_at))

    def _table_samples(self, one: TableStatistics, holder: Holder | None, *, has_failed: bool) -> Iterator[Sample]:
        labels = self._labels(one.table)
        status = metrics.ERROR if has_failed else metrics.ACTIVE if holder else metrics.INACTIVE
        yield Sample(metrics.SYNC_STATUS, labels, status)
        if one.table.name:
            done = {"write": one.rows_written, "delete": one.rows_deleted, "reject": one.rows_rejected}
            yield from _by_kind(metrics.RECORDS_PROCESSED, labels, done)
            yield Sample(metrics.BYTES_TRANSFERRED, labels, one.byte_count)
            yield Sample(metrics.DEAD_LETTERS, labels, one.dead_letters)
            yield Sample(metrics.CONVERSION_WARNINGS, labels, one.conversion_warnings)
        yield from _by_kind(metrics.ERROR_COUNT, labels, one.errors)
        yield from _by_kind(metrics.SCHEMA_CHANGES, labels, one.schema_changes)

    def _memory(self, schema: str, holder: Holder | None) -> Iterator[Sample]:
        """Only a process of this host can be looked at."""
        if holder is None or holder.host != this_process("").host:
            return
        try:
            used = psutil.Process(holder.pid).memory_info().rss
        except psutil.Error:
            return
        yield Sample(metrics.MEMORY_USAGE, (schema_settings(self._config, schema).database, schema), used)

    def _stream_lag(self, schema: str, stream: StreamState, place: Position | None) -> float | None:
        """The age of the oldest noted end of the log that was not reached; None where it cannot be read."""
        ends: deque[LogEnd] = self._ends.get(schema, deque())
        places = [stream.position] if place is None else [stream.position, place]
        try:
            while ends and any(self._source.is_reached(its, ends[0].position or {}) for its in places):
                ends.popleft()
        except WarpError:
            return None
        unreached = time.monotonic() - ends[0].at if ends else 0.0
        return self._pace.lag(unreached, _age(stream.updated_at))

    def _history(self, schema: str, reading: Reading, end: LogEnd | None) -> Iterator[Sample]:
        """Whether the source's log goes far enough back, where anybody may say so."""
        if end is None or end.window is None:
            return
        try:
            found = outlooks(self._source, end.window, schema, reading.stream, reading.states)
        except WarpError:
            return
        labels = (schema_settings(self._config, schema).database, schema)
        if found:
            yield Sample(metrics.LOG_WINDOW, labels, found[0].window.total_seconds())
            yield Sample(metrics.HISTORY_SHORT, labels, any(outlook.is_short for outlook in found))

    def _rate(self, table: TableId, at: float, count: int) -> Iterator[Sample]:
        """Rows per second between the last two readings."""
        before, counted = self._counts.get(table, (at, count))
        self._counts[table] = at, count
        if at > before:
            self._rates[table] = max(0, count - counted) / (at - before)
        if table in self._rates:
            yield Sample(metrics.PROCESSING_RATE, self._labels(table), self._rates[table])

    def _labels(self, table: TableId) -> tuple[str, ...]:
        return (schema_settings(self._config, table.schema).database, table.schema, table.name)


def _ends(config: WarpConfig, schemas: Sequence[str], source: Source) -> dict[str, LogEnd]:
    """Where each schema's log ends, without those that are not told."""
    found: dict[str, LogEnd] = {}
    for schema in schemas:
        settings = schema_settings(config, schema)
        scope = SourceScope(schema, settings.database, settings.include, settings.exclude)
        position, window = None, None
        try:
            if settings.mode == STREAM:
                position, window = source.log_end(scope), _window(source, scope)
            else:
                source.now()
        except TransientError:
            # The others have the same server, and would wait as long for it.
            return found
        except WarpError:
            continue
        found[schema] = LogEnd(time.monotonic(), position, window)
    return found


def _window(source: Source, scope: SourceScope) -> LogWindow | None:
    try:
        return source.log_window(scope)
    except OperatorError:
        # A privilege that nothing else needs: `status` names it.
        return None


def _readings(config: WarpConfig, schemas: Sequence[str], destination: Destination, facts: Facts) -> dict[str, Reading]:
    """What the destination says of each schema, without those that it does not tell."""
    if not facts.takes_writes():
        return {}
    found: dict[str, Reading] = {}
    for schema in schemas:
        try:
            found[schema] = _reading(config, schema, destination, facts)
        except TransientError:
            return found
        except WarpError:
            continue
    return found


def _takes_writes(destination: Destination) -> bool:
    try:
        destination.check()
    except TransientError:
        return False
    except WarpError:
        return True
    return True


def _reading(config: WarpConfig, schema: str, destination: Destination, facts: Facts) -> Reading:
    stream, states = destination.stream_state(schema), destination.table_states(schema)
    found = facts.figures(schema)
    if stream is None and not states:
        return Reading(time.monotonic(), stream, None, states, found, {})
    with closing(open_state(config, destination)) as store:
        place = noted_place(store, schema) if is_noted(destination.capabilities) else None
        holders = _holders(schema, list(states), store)
    return Reading(time.monotonic(), stream, place, states, found, holders)


def _holders(schema: str, tables: Sequence[str], store: StateStore) -> dict[str, Holder | None]:
    """Who holds the stream (the empty name) and each table's batch lease."""
    batch = {name: store.lease_holder(batch_lease(TableId(schema, name))) for name in tables}
    return {**batch, "": store.lease_holder(stream_lease(schema))}


def _by_kind(metric: Metric, labels: tuple[str, ...], counts: Mapping[str, int]) -> Iterator[Sample]:
    for kind, count in counts.items():
        yield Sample(metric, (*labels, kind), count)


def _age(at: datetime) -> float:
    return max(0.0, (datetime.now(UTC) - at).total_seconds())
