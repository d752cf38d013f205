"""Tries again, by itself, the rows that wait for another row: a child for its parent."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

import structlog

from warp_resources.errors import ConnectionLost, OperatorError, TransientError, Unreachable
from warp_resources.model.letters import FOREIGN_KEY, LetterSelection
from warp_resources.model.replays import LetterOutcome
from warp_resources.pipeline.engine import Engine
from warp_resources.pipeline.replay import Replayer, ReplayReport

TRY_EVERY_SECONDS = 5.0
REST_SECONDS = 60.0
"""After an attempt that failed for another reason than its rows."""
MOST_ATTEMPTS = 50
"""After as many, some hours later, a row is left to the user."""
MOST_AT_ONCE = 500
"""Beside a stream, so that it is not kept waiting."""
MOST_AT_THE_END = 10_000
"""Of more than these, the end of a run tries only those that are due."""
FEW = 100
"""As many may be tried in vain every few seconds; of more, the tries become rarer."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class WaitingRows:
    """The rows of a schema that the destination refused for want of a row that they refer to."""

    engine: Engine
    seconds: float = TRY_EVERY_SECONDS
    next_at: float = field(default_factory=lambda: time.monotonic() + TRY_EVERY_SECONDS)

    def try_due(self) -> None:
        """Try those whose time has come, every few seconds; what fails is no matter for the stream."""
        if not self._may_wait or time.monotonic() < self.next_at:
            return
        selection = LetterSelection(
            self.engine.unit.schema,
            reasons=(FOREIGN_KEY,),
            is_due=True,
            max_attempts=MOST_ATTEMPTS,
            limit=MOST_AT_ONCE,
        )
        try:
            outcome = self._told(self._replayer.attempt(selection, self._goes_on))
            is_vain = not outcome.replayed and outcome.pending_count > FEW
            self.seconds = min(REST_SECONDS, self.seconds * 2) if is_vain else TRY_EVERY_SECONDS
            self.next_at = time.monotonic() + self.seconds
        except (ConnectionLost, Unreachable):
            # Whoever answers next may be another server, or this one as it was before: all is to be asked anew.
            raise
        except (OperatorError, TransientError) as error:
            log.warning("waiting rows not tried", error=str(error))
            self.next_at = time.monotonic() + REST_SECONDS

    def try_all(self) -> None:
        """Try all, due or not, as long as any row comes free: so parents come before their children.

        Those of a table that cannot be written go on waiting.
        """
        if not self._may_wait:
            return
        selection = LetterSelection(self.engine.unit.schema, reasons=(FOREIGN_KEY,), max_attempts=MOST_ATTEMPTS)
        try:
            if sum(its.count for its in self.engine.destination.letter_counts(selection)) > MOST_AT_THE_END:
                selection = replace(selection, is_due=True, limit=MOST_AT_THE_END)
            self._told(self._replayer.replay(selection, self._goes_on))
        except OperatorError as error:
            log.warning("waiting rows not tried", error=str(error))

    @property
    def _may_wait(self) -> bool:
        return self.engine.destination.capabilities.has_constraints

    @property
    def _replayer(self) -> Replayer:
        engine = self.engine
        return Replayer(engine.source, engine.destination, engine.writer, engine.scope)

    def _goes_on(self) -> bool:
        return not self.engine.stop.is_set()

    def _told(self, report: ReplayReport) -> LetterOutcome:
        its = report.outcome
        if its.replayed or its.superseded:
            log.info("waiting rows replayed", rows=its.replayed, superseded=its.superseded, waiting=its.pending_count)
        for table, failure in report.failures.items():
            log.warning("waiting rows not written", table=str(table), error=str(failure))
        return its
