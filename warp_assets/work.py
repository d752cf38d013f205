"""Does one thing to table after table in an engine that outlives lost connections."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import structlog

from warp_resources.errors import LeaseHeld, OperatorError, TransientError, WarpError
from warp_resources.model.positions import Position
from warp_resources.pipeline.engine import Engine, Unit, open_engine
from warp_resources.pipeline.report import SyncReport
from warp_resources.pipeline.retry import Backoff
from warp_resources.pipeline.unit_process import ONCE_WAITS_SECONDS, STAND_BY_SECONDS, report_failure

Act = Callable[[Engine, str], SyncReport]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one table; it is as the source was ``seconds`` ago."""

    table: str
    position: Position | None = None
    seconds: float = 0.0
    error: WarpError | None = None

    @property
    def is_held(self) -> bool:
        """Whether another process is at the table, so that nothing was done here."""
        return isinstance(self.error, LeaseHeld)


def each_table(unit: Unit, names: Sequence[str] | None, run_id: str, act: Act) -> Iterator[Outcome]:
    """Act on each table; one that fails does so alone (M3), with its cause in ``error_log``.

    A lost connection is waited out with backoff, up to ``max_retries`` in a row.

    Args:
        names: None means all that the source has.
    """
    stop = threading.Event()
    backoff = Backoff(unit.backoff, stop)
    left = None if names is None else list(names)
    while left is None or left:
        try:
            with open_engine(unit, stop, run_id) as engine:
                left = [table.name for table in engine.source.tables(engine.scope)] if left is None else left
                while left:
                    outcome = _attempt(engine, left[0], act)
                    backoff.reset()
                    yield outcome
                    del left[0]
        except TransientError as error:
            if backoff.is_exhausted:
                yield from (Outcome(name, error=error) for name in left or [""])
                return
            log.warning("interrupted, will try again", unit=str(unit), attempt=backoff.attempt + 1, error=str(error))
            backoff.pause()
        except OperatorError as error:
            yield from (Outcome(name, error=error) for name in left or [""])
            return


def _attempt(engine: Engine, name: str, act: Act) -> Outcome:
    began = time.monotonic()
    try:
        report = _patient(engine, name, act)
        return Outcome(name, report.position, time.monotonic() - began)
    except TransientError:
        raise
    except LeaseHeld as held:
        return Outcome(name, error=held)
    except OperatorError as error:
        report_failure(engine, engine.table(name), engine.unit.mode, error)
        return Outcome(name, error=error)


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
