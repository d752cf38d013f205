"""Streams one schema: cuts written in order, snapshots beside them, until stopped or drained."""

from __future__ import annotations

import time
import uuid
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

import structlog

from warp_resources.errors import HistoryLost
from warp_resources.failpoints import failpoint
from warp_resources.model.batches import ErrorEntry
from warp_resources.model.positions import Aside, Position, StreamCommit, StreamState, TableState, stream_lease
from warp_resources.pipeline.arrival import is_noted
from warp_resources.pipeline.aside import AsideTables, entry_of
from warp_resources.pipeline.catch_up import catch_up
from warp_resources.pipeline.correlation import correlated
from warp_resources.pipeline.engine import STREAM, Engine, Unit
from warp_resources.pipeline.history import told_of_loss
from warp_resources.pipeline.history_watch import watching_history
from warp_resources.pipeline.new_tables import Verdict, verdict_on
from warp_resources.pipeline.payload import Work
from warp_resources.pipeline.reader import POLL, StreamReader
from warp_resources.pipeline.rewriting import Rewriter
from warp_resources.pipeline.slice_process import HELPER_ROWS, SliceHelper, may_help
from warp_resources.pipeline.snapshot import OnChunk, engine_generations, ignore_chunk, load_name, open_generation
from warp_resources.pipeline.spare import dismiss_spare
from warp_resources.pipeline.stream_run import StreamRun
from warp_resources.pipeline.waiting import WaitingRows

IDLE_WAIT = timedelta(milliseconds=200)
ABANDONED_AFTER = timedelta(hours=24)
"""A reading that nobody took further for this long keeps its tombstones no longer."""
ONCE_POLL = timedelta(milliseconds=50)
QUIET_SECONDS = 5.0
"""For as long there was nothing to write: the source was asked all the while."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Request:
    """What a caller wants of a unit; ``full_resync`` is cleared once its generations are open.

    ``poll``: how long a stream in which nothing happens is waited on at a time, other than by default.
    """

    once: bool
    full_resync: bool = False
    on_chunk: OnChunk = ignore_chunk
    poll: timedelta | None = None


def replicate(engine: Engine, request: Request) -> None:
    """Stream a schema until the engine is stopped or, ``once``, until all there was is written.

    Raises:
        LeaseHeld: another process streams this schema.
        TablesAside: ``once``, and a table could not take part to the end.
        TransientError: call again, in a new engine.
    """
    lease = stream_lease(engine.unit.schema)
    with engine.leases.holding(lease), watching_history(engine):
        engine.destination.record_run(engine.run_id, engine.table(""), STREAM, "running")
        is_asked = request.full_resync and not engine.unit.tables
        while True:
            run = _take_over(engine)
            failpoint("stream.taken")
            found = run.position()
            try:
                _stream(run, lease, request)
            except HistoryLost as lost:
                # Who asks for everything anew wants a new start, where the stream cannot move from the old one.
                _start_again(run, lost, is_wanted=is_asked and run.position() == found)
                is_asked = False
                continue
            if request.once and not engine.stop.is_set():
                _refuse_aside(run)
            return


def _refuse_aside(run: StreamRun) -> None:
    """End the runs of all tables, each as it is, and fail if one of them is set aside."""
    engine = run.engine
    for its in run.aside.awaited:
        engine.destination.record_run(engine.run_id, its.table, STREAM, "failed", error=its.reason)
    if run.aside.awaited:
        engine.destination.record_run(engine.run_id, engine.table(""), STREAM, "success")
    run.aside.demand_none(engine.unit.schema)


def _stream(run: StreamRun, lease: str, request: Request) -> None:
    engine = run.engine
    # First: a table whose first load rested for too long gets another one.
    engine.destination.abandon_idle_generations(engine.unit.schema, ABANDONED_AFTER, engine.leases.is_held)
    _cover(run)
    if request.full_resync:
        _resync_all(run)
        request.full_resync = False
    _take_up_open_generations(run)
    stream = engine.source.stream(engine.scope, run.fence.position)
    poll = request.poll or (ONCE_POLL if request.once else POLL)
    interval = timedelta(0) if request.once else engine.min_interval
    reader = StreamReader(stream, engine.stream_limits(run.covered), poll, interval)
    try:
        with _helper(run):
            _drain(run, reader, lease, request)
        run.save_position()
        if request.once:
            WaitingRows(engine).try_all()
    finally:
        run.close()
        reader.close()


def _start_again(run: StreamRun, lost: HistoryLost, *, is_wanted: bool) -> None:
    """Read every covered table again from a new start (R4), or stop with the remedy."""
    engine = run.engine
    message, remedy = told_of_loss(engine.source, engine.scope, run.fence.position, lost)
    if engine.unit.config.error_handling.on_history_lost != "resync" and not is_wanted:
        anew = f"Read its tables again: cartridge-warp run --full-resync --schema {engine.unit.schema}"
        raise HistoryLost(message, remedy=f"{anew}. {remedy}", **lost.facts) from lost
    tables = [engine.table(name) for name in sorted(run.covered)]
    action = f"the table is read again, all slices. {remedy}"
    entries = [ErrorEntry(table, "history_lost", message, action, severity="error") for table in tables]
    state = engine.destination.start_stream(
        engine.unit.schema,
        engine.source.log_end(engine.scope),
        tables,
        generation=f"history-{uuid.uuid4()}",
        errors=entries,
        run_id=engine.run_id,
        # Whoever was frozen since it read that may find another at work, far ahead of this.
        fence=run.fence,
    )
    failpoint("stream.restarted")
    names = [str(table) for table in tables]
    log.error("history lost: tables are read again", tables=names, epoch=state.epoch, reason=message, remedy=remedy)


def _take_over(engine: Engine) -> StreamRun:
    schema, destination = engine.unit.schema, engine.destination
    state = destination.stream_state(schema)
    if state is None:
        start = engine.source.log_end(engine.scope)
        state = destination.start_stream(schema, start, fence=StreamCommit(schema, 0, 0, start))
        log.info("stream started", schema=schema)
    else:
        state = destination.seize_stream(schema)
    states = destination.table_states(schema)
    covered = {name for name, table in states.items() if table.covered_from is not None}
    return StreamRun(engine, _fence(schema, state), covered, set(states), _aside(engine.unit, states, covered))


def _aside(unit: Unit, states: Mapping[str, TableState], covered: Collection[str]) -> AsideTables:
    """The tables that an earlier run set aside; each is tried at once."""
    found = AsideTables(unit.backoff)
    for name, state in states.items():
        if state.aside_position is not None:
            its = Aside(state.table, state.aside_position, state.aside_reason or "")
            found.put(its, is_barred=name not in covered)
    return found


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
        for table in gone:
            run.aside.remove(table.name)
    barred = run.admit(
        (engine.table(name) for name in sorted(found) if engine.unit.is_chosen(name)), is_start=not states
    )
    for its in barred:
        run.note(its, [entry_of(its)])
    forgotten = [its.table for name, its in run.aside.places.items() if _is_forgotten(run, name, found)]
    if forgotten:
        run.rejoin(forgotten)
    for name, state in sorted(states.items()):
        # A crash between admission and the opening of the generation leaves a table without either.
        if name in run.covered and not state.is_loaded and engine.unit.is_chosen(name):
            run.load(state.table)


def _is_forgotten(run: StreamRun, name: str, found: set[str]) -> bool:
    """Whether a table that was not admitted is not to be mentioned any more."""
    is_chosen = run.engine.unit.is_chosen(name)
    is_barred = _in_scope(run, name, found) and verdict_on(run.engine, name) is Verdict.BARRED
    return name in run.aside.barred and is_chosen and not is_barred


def _in_scope(run: StreamRun, name: str, found: set[str]) -> bool:
    """A covered table stays covered while the configuration names it, also after it was dropped."""
    return name in found or run.engine.scope.covers(name)


def _resync_all(run: StreamRun) -> None:
    engine = run.engine
    # A first load that has not begun reads everything already.
    fresh = {state.table.name for state in run.pending if state.generation == load_name(engine)}
    for name in sorted(run.covered):
        if engine.unit.is_chosen(name) and name in run.aside:
            run.readmit(engine.table(name), f"resync-{engine.run_id}")
        elif engine.unit.is_chosen(name) and name not in fresh:
            open_generation(engine, engine.table(name), f"resync-{engine.run_id}")


def _take_up_open_generations(run: StreamRun) -> None:
    run.pending = [generation for generation in engine_generations(run.engine) if generation.table.name in run.covered]


@contextmanager
def _helper(run: StreamRun) -> Iterator[None]:
    """A second process for the slices, where there is enough to read."""
    engine = run.engine
    if not may_help(engine.unit) or _rows_to_read(run) < HELPER_ROWS:
        dismiss_spare()
        yield
        return
    helper = SliceHelper(Work(engine.unit, engine.run_id))
    try:
        yield
    finally:
        helper.close(has_work=bool(run.pending))


def _rows_to_read(run: StreamRun) -> int:
    names = {generation.table.name for generation in run.pending}
    found = run.engine.source.tables(run.engine.scope) if names else []
    return sum(table.row_estimate for table in found if table.name in names)


def _idle(run: StreamRun) -> None:
    """Keep the place of a stream in which nothing happens."""
    quiet_seconds = time.monotonic() - run.saved_at
    if quiet_seconds > run.engine.destination.capabilities.idle_save.total_seconds():
        run.save_position()
    elif is_noted(run.engine.destination.capabilities):
        run.note_position()
    if quiet_seconds > QUIET_SECONDS:
        run.engine.has_worked = True


def _drain(run: StreamRun, reader: StreamReader, lease: str, request: Request) -> None:
    engine = run.engine
    rewriter, waiting = Rewriter(engine), WaitingRows(engine)
    target: Position | None = None
    is_tried = False
    wait = request.poll or (ONCE_POLL if request.once else IDLE_WAIT)
    while not engine.stop.is_set():
        engine.leases.demand(lease)
        # A chunk and a cut in turn: neither a long snapshot nor a busy stream starves the other.
        chunk = run.next_chunk()
        if chunk is not None:
            request.on_chunk(chunk)
        has_caught_up, has_rewritten = catch_up(run), rewriter.step()
        is_busy = has_caught_up or has_rewritten or chunk is not None
        changes = reader.get(timedelta(0) if is_busy else wait)
        if changes is not None:
            # The sequence that the cut's commit is going to have.
            with correlated(engine.unit.config, batch=run.fence.sequence + 1):
                run.write(changes)
        waiting.try_due()
        if changes is None or run.moved is not None:
            _idle(run)
        if request.once and chunk is None and not run.unread:
            # Taken after the last chunk was read, so that what a chunk saw half of is complete.
            target = target or engine.source.log_end(engine.scope)
            if not engine.source.is_reached(run.position(), target) or not run.aside.is_settled:
                continue
            if rewriter.is_pending:
                continue
            if is_tried or not run.aside.places:
                return
            # What failed may have been for want of something that came later.
            run.aside.hasten()
            is_tried = True
