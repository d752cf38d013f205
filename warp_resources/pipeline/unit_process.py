"""Serves one unit, in this process or a child's: sessions until stopped, with backoff between."""

from __future__ import annotations

import os
import sys
import threading
import time
import uuid
from datetime import UTC, datetime, timedelta

import structlog
from croniter import croniter

from warp_resources.config import schema_settings
from warp_resources.errors import FencedOut, LeaseHeld, OperatorError, TablesAside, TransientError, WarpError
from warp_resources.model.batches import ErrorEntry
from warp_resources.model.tables import TableId
from warp_resources.pipeline.batch import sync_table
from warp_resources.pipeline.batch_progress import BatchProgress
from warp_resources.pipeline.correlation import correlated
from warp_resources.pipeline.engine import STREAM, Engine, Unit, open_engine
from warp_resources.pipeline.lean import keep_pandas_out
from warp_resources.pipeline.lookout import Lookout
from warp_resources.pipeline.parallel import ReadingWish
from warp_resources.pipeline.payload import receive_work, watch_parent
from warp_resources.pipeline.replicate import Request, replicate
from warp_resources.pipeline.retry import Backoff
from warp_resources.pipeline.snapshot import OnChunk, ignore_chunk
from warp_resources.pipeline.spare import dismiss_spare
from warp_resources.pipeline.stopping import stop_on_signals

STAND_BY_SECONDS = 1.0
_NO_TABLES_WAIT = timedelta(seconds=5)
ONCE_WAITS_SECONDS = 15.0

STOPPED_FOR_GOOD = 64
"""Exit code of a child that an operator has to see to; any other is an accident, and it is started again."""

log = structlog.get_logger(__name__)


def serve(unit: Unit, request: Request, stop: threading.Event, run_id: str | None = None) -> bool:
    """Serve a unit until it is stopped or, ``once``, done.

    A lost connection is waited out with backoff. Where another process holds the unit, this one
    stands by; ``once`` waits 15 s for it (L2).

    Returns:
        Whether it was served to the end that was asked for; False where ``once`` was stopped before.

    Raises:
        OperatorError: trying again cannot help.
        TransientError: ``once``, and the incident outlasted ``max_retries``.
    """
    keep_pandas_out()
    run_id = run_id or str(uuid.uuid4())
    with correlated(unit.config, run_id=run_id, schema=unit.schema):
        return _sessions(unit, request, stop, run_id)


def _sessions(unit: Unit, request: Request, stop: threading.Event, run_id: str) -> bool:
    backoff = Backoff(unit.backoff, stop, Lookout(unit.config).answers)
    give_up_at = time.monotonic() + ONCE_WAITS_SECONDS
    progress = BatchProgress(unit.backoff.max_retries)
    announced: object = None
    was_open = False
    while not stop.is_set():
        engine: Engine | None = None
        opened_at = 0.0
        try:
            with open_engine(unit, stop, run_id) as engine:
                opened_at, was_open = time.monotonic(), True
                return _session(engine, request, progress)
        except (LeaseHeld, FencedOut) as held:
            if request.once and time.monotonic() > give_up_at:
                raise
            if held.facts != announced:
                log.warning("standing by", unit=str(unit), reason=str(held))
                announced = held.facts
            stop.wait(STAND_BY_SECONDS)
        except TransientError as error:
            if engine is not None and engine.has_worked:
                backoff.worked(time.monotonic() - opened_at)
            if request.once and (backoff.is_exhausted or progress.has_failing):
                raise
            level = log.error if backoff.is_exhausted else log.warning
            level("interrupted, will try again", unit=str(unit), attempt=backoff.attempt + 1, error=str(error))
            backoff.pause(error)
        except OperatorError as error:
            if request.once or engine is not None or not was_open:
                raise
            # What could be opened before can be again once a grant, a password or a rule is mended.
            log.error("cannot be opened again, will try", unit=str(unit), error=str(error))
            backoff.pause(error)
    return not request.once


def _session(engine: Engine, request: Request, progress: BatchProgress) -> bool:
    if engine.unit.mode != STREAM:
        # Ticks read one table after the other, alone.
        dismiss_spare()
        return _batch(engine, request, progress)
    whole = engine.table("")
    try:
        replicate(engine, request)
    except (LeaseHeld, FencedOut, TransientError):
        raise
    except TablesAside as error:
        # Each table has its entry in `error_log` since it was set aside.
        engine.destination.record_run(engine.run_id, whole, STREAM, "failed", error=str(error))
        raise
    except WarpError as error:
        report_failure(engine, whole, STREAM, error)
        raise
    # A stream that is to run until it is stopped has no earlier end.
    is_done = not (request.once and engine.stop.is_set())
    engine.destination.record_run(engine.run_id, whole, STREAM, "success" if is_done else "stopped")
    return is_done


def _batch(engine: Engine, request: Request, progress: BatchProgress) -> bool:
    schedule = schema_settings(engine.unit.config, engine.unit.schema).schedule
    while not engine.stop.is_set():
        failures = sync_all(engine, progress, full_resync=request.full_resync, on_chunk=request.on_chunk)
        engine.has_worked = True
        request.full_resync = False
        progress.end_resync()
        if request.once:
            if failures:
                raise failures[0]
            return not engine.stop.is_set()
        names = [table.name for table in engine.source.tables(engine.scope)]
        engine.stop.wait(_seconds_to_next(schedule, engine, names))
    return not request.once


def sync_all(
    engine: Engine, progress: BatchProgress, *, full_resync: bool = False, on_chunk: OnChunk = ignore_chunk
) -> list[WarpError]:
    """A tick of every batch table of the unit; a failing table does not stop the others (M3).

    A full resync that was interrupted goes on with the tables that it has not read to their end.

    Returns:
        The failures that need an operator.

    Raises:
        TransientError: the first one, after all tables had their turn.
    """
    failures: list[WarpError] = []
    interrupted: list[TransientError] = []
    for table in engine.source.tables(engine.scope):
        if engine.stop.is_set():
            break
        if full_resync and progress.is_read_again(table.name):
            continue
        try:
            report = sync_table(engine, table.name, full_resync=full_resync, wish=ReadingWish(on_chunk=on_chunk))
        except LeaseHeld as held:
            log.info("batch table is synchronised elsewhere", table=table.name, holder=held.facts.get("holder"))
            continue
        except FencedOut as fenced:
            log.warning("batch table was taken over", table=table.name, reason=str(fenced))
            continue
        except TransientError as error:
            # One table's locks are no reason to starve those that come after it.
            interrupted.append(error)
            if progress.interrupted(table.name):
                report_failure(engine, engine.table(table.name), "batch", error)
            continue
        except OperatorError as error:
            report_failure(engine, engine.table(table.name), "batch", error)
            failures.append(error)
            continue
        if not engine.stop.is_set():
            progress.done(table.name, full_resync=full_resync)
        log.info(
            "batch table synchronised", table=str(report.table), rows=report.rows_written, position=report.position
        )
    if interrupted:
        raise interrupted[0]
    return failures


def report_failure(engine: Engine, table: TableId, mode: str, error: WarpError) -> None:
    """Put a failure where it will be read: the log, ``error_log`` and ``sync_runs``."""
    log.error("table stopped" if table.name else "schema stopped", table=str(table), error=str(error))
    action = "interrupted too often" if isinstance(error, TransientError) else "stopped"
    entry = ErrorEntry(table, type(error).__name__, str(error), action, severity="error")
    try:
        engine.destination.record_errors([entry], engine.run_id)
        engine.destination.record_run(engine.run_id, table, mode, "failed", error=str(error))
    except WarpError as second:
        log.error("failure not recorded in the destination", error=str(second))


def _seconds_to_next(schedule: str | None, engine: Engine, names: list[str]) -> float:
    if schedule is None:
        waits = [engine.unit.settings(name).polling_interval for name in names]
        return max(min(waits, default=_NO_TABLES_WAIT), engine.min_interval).total_seconds()
    now = datetime.now(UTC)
    upcoming: datetime = croniter(schedule, now).get_next(datetime)
    return max(0.0, (upcoming - now).total_seconds())


def main() -> int:
    """A child of ``run``: its parent tells it to stop by SIGTERM or by ending."""
    from warp_resources.telemetry.logs import configure_logging

    stop = threading.Event()
    stop_on_signals(stop.set, ignore_interrupt=True)
    work = receive_work(sys.stdin.buffer)
    configure_logging(work.unit.config.logging)
    watch_parent(sys.stdin.buffer, stop)
    try:
        serve(work.unit, Request(once=False, full_resync=work.full_resync), stop, work.run_id)
    except WarpError as error:
        log.error("stopped", unit=str(work.unit), error=str(error))
        return STOPPED_FOR_GOOD
    return 0


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    # At once: all that matters is closed, and a stop that comes while drivers end would take the code's place.
    os._exit(code)
