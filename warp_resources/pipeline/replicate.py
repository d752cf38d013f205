"""Streams one schema: cuts written in order, snapshots beside them, until stopped or drained."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta

import structlog

from warp_resources.config import schema_settings
from warp_resources.connectors.interfaces import ENGINE_CONNECTIONS
from warp_resources.errors import HistoryLost
from warp_resources.model.batches import Changes, ErrorEntry, TableEventKind
from warp_resources.model.positions import GenerationState, Position, StreamCommit, StreamState
from warp_resources.model.tables import TableId
from warp_resources.pipeline.correlation import correlated
from warp_resources.pipeline.engine import STREAM, Engine, Unit
from warp_resources.pipeline.payload import Work
from warp_resources.pipeline.reader import POLL, StreamReader
from warp_resources.pipeline.slice_process import SliceHelper
from warp_resources.pipeline.snapshot import (
    ChunkReport,
    OnChunk,
    engine_generations,
    first_load,
    ignore_chunk,
    load_name,
    open_generation,
    read_generation,
)
from warp_resources.pipeline.spare import dismiss_spare

IDLE_WAIT = timedelta(milliseconds=200)
ABANDONED_AFTER = timedelta(hours=24)
"""A reading that nobody took further for this long keeps its tombstones no longer."""
ONCE_POLL = timedelta(milliseconds=50)
SAVE_IDLE_POSITION_EVERY_SECONDS = 5.0
HELPER_ROWS = 100_000
"""Above this many estimated rows to snapshot, a second process reads slices too."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Request:
    """What a caller wants of a unit; ``full_resync`` is cleared once its generations are open."""

    once: bool
    full_resync: bool = False
    on_chunk: OnChunk = ignore_chunk


@dataclass(slots=True)
class StreamRun:
    """The stream of a schema in the hands of its one writer.

    ``fence`` is the commit that would move nothing: the row's epoch, sequence and position.
    """

    engine: Engine
    fence: StreamCommit
    covered: set[str]
    pending: list[GenerationState] = field(default_factory=list)
    moved: Position | None = None
    saved_at: float = field(default_factory=time.monotonic)

    def write(self, changes: Changes) -> None:
        """Commit one cut, admitting tables that it brings for the first time."""
        batches = [batch for batch in changes.tables if self._is_served(batch.table.name)]
        self.admit(batch.table for batch in batches)
        if not batches and not changes.events:
            self.moved = changes.position
            return
        # Before the position passes the event: after a crash between the two, it comes again.
        for event in changes.events:
            if event.kind is TableEventKind.REPLACED and self._is_served(event.table.name):
                self._read_again(event.table)
        commit = replace(self.fence, position=changes.position)
        receipt = self.engine.writer.write(batches, commit, _event_errors(changes))
        self._committed(commit, receipt.stream_sequence)

    def save_position(self) -> None:
        """Make a position durable that moved without changes, or a quiet table loses its place."""
        if self.moved is None or self.moved == self.fence.position:
            return
        commit = replace(self.fence, position=self.moved)
        self._committed(commit, self.engine.writer.write([], commit).stream_sequence)

    def position(self) -> Position:
        """Everything up to here has been written, durably or with nothing to write."""
        return self.moved or self.fence.position

    def admit(self, tables: Iterable[TableId]) -> None:
        """Cover tables from the committed position on; each needs a first load then."""
        new = sorted({table for table in tables if table.name not in self.covered})
        if not new:
            return
        sequence = self.engine.destination.admit(self.fence, new, [])
        self.fence = replace(self.fence, sequence=sequence)
        self.covered.update(table.name for table in new)
        for table in new:
            self.load(table)

    def load(self, table: TableId) -> None:
        """Open the first load of a table, or note that it needs none."""
        if self.engine.unit.settings(table.name).full_load_enabled:
            self.pending.append(first_load(self.engine, table))
        else:
            self.engine.destination.mark_loaded(table)

    def _read_again(self, table: TableId) -> None:
        """The rows that came with a replaced table are in no event."""
        if table.name in self.covered:
            self.pending.append(open_generation(self.engine, table, f"resync-{uuid.uuid4()}"))
        else:
            self.admit([table])

    def _is_served(self, name: str) -> bool:
        return name in self.covered or self.engine.unit.is_chosen(name)

    def _committed(self, commit: StreamCommit, sequence: int | None) -> None:
        if sequence is None:
            raise AssertionError("a stream commit gives the stream row's sequence")
        self.fence = replace(commit, sequence=sequence)
        self.moved = None
        self.saved_at = time.monotonic()


def replicate(engine: Engine, request: Request) -> None:
    """Stream a schema until the engine is stopped or, ``once``, until all there was is written.

    Raises:
        LeaseHeld: another process streams this schema.
        TransientError: call again, in a new engine.
    """
    lease = f"stream:{engine.unit.schema}"
    with engine.leases.holding(lease):
        engine.destination.record_run(engine.run_id, engine.table(""), STREAM, "running")
        while True:
            run = _take_over(engine)
            try:
                _stream(run, lease, request)
            except HistoryLost as lost:
                _start_again(run, lost)
                continue
            return


def _stream(run: StreamRun, lease: str, request: Request) -> None:
    engine = run.engine
    _cover(run)
    if request.full_resync:
        _resync_all(run)
        request.full_resync = False
    engine.destination.abandon_idle_generations(engine.unit.schema, ABANDONED_AFTER)
    _take_up_open_generations(run)
    stream = engine.source.stream(engine.scope, run.fence.position)
    poll = ONCE_POLL if request.once else POLL
    reader = StreamReader(stream, engine.stream_limits(run.covered), poll)
    try:
        with _helper(run):
            _drain(run, reader, lease, request)
        run.save_position()
    finally:
        reader.close()


def _start_again(run: StreamRun, lost: HistoryLost) -> None:
    """Read every covered table again from a new start (R4), or stop with the remedy."""
    engine = run.engine
    if engine.unit.config.error_handling.on_history_lost != "resync":
        raise lost
    tables = [engine.table(name) for name in sorted(run.covered)]
    entries = [
        ErrorEntry(table, "history_lost", lost.message, "the table is read again, all slices", severity="error")
        for table in tables
    ]
    state = engine.destination.start_stream(
        engine.unit.schema,
        engine.source.log_end(engine.scope),
        tables,
        generation=f"history-{uuid.uuid4()}",
        errors=entries,
        run_id=engine.run_id,
    )
    log.error("history lost: tables are read again", tables=[str(t) for t in tables], epoch=state.epoch)


def _take_over(engine: Engine) -> StreamRun:
    schema, destination = engine.unit.schema, engine.destination
    state = destination.stream_state(schema)
    if state is None:
        state = destination.start_stream(schema, engine.source.log_end(engine.scope))
        log.info("stream started", schema=schema)
    else:
        state = destination.seize_stream(schema)
    covered = {name for name, table in destination.table_states(schema).items() if table.covered_from is not None}
    return StreamRun(engine, _fence(schema, state), covered)


def _fence(schema: str, state: StreamState) -> StreamCommit:
    return StreamCommit(schema, state.epoch, state.sequence, state.position)


def _cover(run: StreamRun) -> None:
    """Admit what the configuration now names, dismiss what it no longer names."""
    engine = run.engine
    found = {table.name for table in engine.source.tables(engine.scope)}
    states = engine.destination.table_states(engine.unit.schema)
    gone = [state.table for name, state in states.items() if name in run.covered and not _in_scope(run, name, found)]
    if gone:
        sequence = engine.destination.admit(run.fence, [], gone)
        run.fence = replace(run.fence, sequence=sequence)
        run.covered.difference_update(table.name for table in gone)
    run.admit(engine.table(name) for name in sorted(found) if engine.unit.is_chosen(name))
    for name, state in sorted(states.items()):
        # A crash between admission and the opening of the generation leaves a table without either.
        if name in run.covered and not state.is_loaded and engine.unit.is_chosen(name):
            run.load(state.table)


def _in_scope(run: StreamRun, name: str, found: set[str]) -> bool:
    """A covered table stays covered while the configuration names it, also after it was dropped."""
    return name in found or run.engine.scope.covers(name)


def _resync_all(run: StreamRun) -> None:
    engine = run.engine
    # A first load that has not begun reads everything already.
    fresh = {state.table.name for state in run.pending if state.generation == load_name(engine)}
    for name in sorted(run.covered - fresh):
        if engine.unit.is_chosen(name):
            open_generation(engine, engine.table(name), f"resync-{engine.run_id}")


def _take_up_open_generations(run: StreamRun) -> None:
    run.pending = [generation for generation in engine_generations(run.engine) if generation.table.name in run.covered]


@contextmanager
def _helper(run: StreamRun) -> Iterator[None]:
    """A second process for the slices, where there is enough to read."""
    engine = run.engine
    if not _may_help(engine.unit) or _rows_to_read(run) < HELPER_ROWS:
        dismiss_spare()
        yield
        return
    helper = SliceHelper(Work(engine.unit, engine.run_id))
    try:
        yield
    finally:
        helper.close(has_work=bool(run.pending))


def _may_help(unit: Unit) -> bool:
    """Whether the configuration leaves room for a second process, by its tables and by its connections."""
    pool = unit.config.destination.pool_size + unit.config.destination.max_overflow
    return schema_settings(unit.config, unit.schema).max_parallel_streams > 1 and pool >= 2 * ENGINE_CONNECTIONS


def _rows_to_read(run: StreamRun) -> int:
    names = {generation.table.name for generation in run.pending}
    found = run.engine.source.tables(run.engine.scope) if names else []
    return sum(table.row_estimate for table in found if table.name in names)


def _drain(run: StreamRun, reader: StreamReader, lease: str, request: Request) -> None:
    engine = run.engine
    chunks = _snapshots(run)
    target: Position | None = None
    wait = ONCE_POLL if request.once else IDLE_WAIT
    while not engine.stop.is_set():
        engine.leases.demand(lease)
        # A chunk and a cut in turn: neither a long snapshot nor a busy stream starves the other.
        chunk = next(chunks, None)
        if chunk is not None:
            request.on_chunk(chunk)
        changes = reader.get(timedelta(0) if chunk else wait)
        if changes is not None:
            # The sequence that the cut's commit is going to have.
            with correlated(engine.unit.config, batch=run.fence.sequence + 1):
                run.write(changes)
        elif chunk is None and time.monotonic() - run.saved_at > SAVE_IDLE_POSITION_EVERY_SECONDS:
            run.save_position()
        if chunk is None and run.pending:
            chunks = _snapshots(run)
        elif chunk is None and request.once:
            # Taken after the last chunk was read, so that what a chunk saw half of is complete.
            target = target or engine.source.log_end(engine.scope)
            if engine.source.is_reached(run.position(), target):
                return


def _snapshots(run: StreamRun) -> Iterator[ChunkReport]:
    """One committed chunk per step over all open generations, until none is open."""
    engine = run.engine
    for generation in run.pending:
        yield from read_generation(engine, generation)
    still_open = {(g.table, g.generation): g for g in engine.destination.generations(engine.unit.schema)}
    run.pending = [still_open[g.table, g.generation] for g in run.pending if (g.table, g.generation) in still_open]


def _event_errors(changes: Changes) -> list[ErrorEntry]:
    return [
        ErrorEntry(
            table=event.table,
            error_type=f"source_{event.kind}",
            message=f"The source table was {event.kind.replace('_', ' ')}; {event.detail}".rstrip("; "),
            action="read again" if event.kind is TableEventKind.REPLACED else "kept: the rows here stay as they are",
        )
        for event in changes.events
    ]
