"""Does one thing to table after table in an engine that outlives lost connections."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import structlog

from warp_resources.errors import LeaseHeld, OperatorError, TransientError, Unreachable, WarpError
from warp_resources.model.positions import Position
from warp_resources.pipeline.engine import STREAM, Engine, Unit, open_engine
from warp_resources.pipeline.reading_progress import ReadingProgress
from warp_resources.pipeline.report import SyncReport
from warp_resources.pipeline.resync import SNAPSHOT
from warp_resources.pipeline.retry import Backoff
from warp_resources.pipeline.unit_process import ONCE_WAITS_SECONDS, STAND_BY_SECONDS, report_failure

Act = Callable[[Engine, str], SyncReport]
Left = dict[str, TransientError | None]
"""The tables that are still to be done, each with what interrupted it last."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one table; it is as the source was ``seconds`` ago. ``progress``: of its reading, if any."""

    table: str
    position: Position | None = None
    seconds: float = 0.0
    error: WarpError | None = None
    progress: ReadingProgress | None = None

    @property
    def is_held(self) -> bool:
        """Whether another process is at the table, so that nothing was done here."""
        return isinstance(self.error, LeaseHeld)


def each_table(
    unit: Unit, names: Sequence[str] | None, run_id: str, act: Act, skip: Collection[str] = ()
) -> Iterator[Outcome]:
    """Act on each table; one that fails does so alone (M3), with its cause in ``error_log``.

    A lost connection is waited out with backoff, up to ``max_retries`` in a row. A table whose work is
    interrupted for another reason, such as a lock, is tried again once the others had their turn.

    Args:
        names: None means all that the source has.
        skip: not these of them.
    """
    stop = threading.Event()
    backoff = Backoff(unit.backoff, stop)
    left: Left | None = None if names is None else dict.fromkeys(name for name in names if name not in skip)
    while left is None or left:
        try:
            with open_engine(unit, stop, run_id) as engine:
                left = _all(engine, skip) if left is None else left
                yield from _round(engine, left, act, backoff)
        except TransientError as error:
            if backoff.is_exhausted:
                yield from _failures(left, error)
                return
            log.warning("interrupted, will try again", unit=str(unit), attempt=backoff.attempt + 1, error=str(error))
            backoff.pause()
        except OperatorError as error:
            yield from _failures(left, error)
            return


def _all(engine: Engine, skip: Collection[str]) -> Left:
    return {table.name: None for table in engine.source.tables(engine.scope) if table.name not in skip}


def _round(engine: Engine, left: Left, act: Act, backoff: Backoff) -> Iterator[Outcome]:
    """A turn for each table that is left; then what interrupted the first of them is raised."""
    interrupted: list[TransientError] = []
    for name in list(left):
        try:
            outcome = _attempt(engine, name, act)
        except Unreachable:
            # Those after it need the same server.
            raise
        except TransientError as error:
            # One table's locks are no reason to starve those that come after it.
            left[name] = error
            interrupted.append(error)
            if backoff.is_exhausted:
                report_failure(engine, engine.table(name), engine.unit.mode, error)
            continue
        backoff.reset()
        del left[name]
        yield outcome
    if interrupted:
        raise interrupted[0]


def _failures(left: Left | None, error: WarpError) -> Iterator[Outcome]:
    """Of each table that is left, with what interrupted it itself where anything did."""
    yield from (Outcome(name, error=cause or error) for name, cause in (left or {"": None}).items())


def _attempt(engine: Engine, name: str, act: Act) -> Outcome:
    began = time.monotonic()
    try:
        report = _patient(engine, name, act)
        return Outcome(name, report.position, time.monotonic() - began, progress=report.progress)
    except TransientError:
        raise
    except LeaseHeld as held:
        return Outcome(name, error=held)
    except OperatorError as error:
        report_failure(engine, engine.table(name), engine.unit.mode, error)
        return Outcome(name, error=error)
    except BaseException:
        _record_stop(engine, name)
        raise


def _record_stop(engine: Engine, name: str) -> None:
    """Somebody terminates the run: nobody else would ever end what ``sync_runs`` says of it."""
    mode = SNAPSHOT if engine.unit.mode == STREAM else engine.unit.mode
    try:
        engine.destination.record_run(engine.run_id, engine.table(name), mode, "stopped")
    except WarpError as error:
        log.warning("stop not recorded in the destination", table=name, error=str(error))


def _patient(engine: Engine, name: str, act: Act) -> SyncReport:
    """Wait a while for a table that another process is at (L2)."""
    waited = 0.0
    while True:
        try:
            return act(engine, name)
        except LeaseHeld:
            if waited >= ONCE_WAITS_SECONDS:
                raise
            waited += STAND_BY_SECONDS
            engine.stop.wait(STAND_BY_SECONDS)
