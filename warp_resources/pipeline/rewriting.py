"""Takes the type changes of large tables further, a small step at a time between the engine's other work."""

from __future__ import annotations

import random
import time
from collections.abc import Collection
from dataclasses import dataclass

import structlog

from warp_resources.errors import OperatorError
from warp_resources.failpoints import failpoint
from warp_resources.model.batches import ErrorEntry
from warp_resources.model.rewrites import RewriteState
from warp_resources.model.tables import TableId
from warp_resources.pipeline.engine import Engine

LOOK_EVERY_SECONDS = 5.0
"""How often to ask for rewrites that other processes have begun."""
PATIENCE_SECONDS = 60.0
"""How long a run that is to end waits for a lock that others hold; the next run goes on where it stopped."""
_REST_SECONDS = (0.2, 0.6)
"""Between two attempts at a lock, so that who waits behind the first gets through."""
_NOTED_SHARE = 0.1

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Work:
    """A table's rewrite: how much of it the log has been told, and since when and until when it rests."""

    noted: float = -1.0
    waiting_since: float | None = None
    due_at: float = 0.0


class Rewriter:
    """The rewrites of one engine's tables, one step per call.

    Args:
        only: the tables to see to, by source name; None means all of the schema.
    """

    def __init__(self, engine: Engine, only: Collection[str] | None = None) -> None:
        self._engine = engine
        self._only = only
        self._work: dict[TableId, _Work] = {}
        self._failed: set[TableId] = set()
        self._look_at = 0.0

    @property
    def is_pending(self) -> bool:
        """Whether anything is left that a run should not end without."""
        if not self._work:
            self._look_at = 0.0
        self._find()
        return any(not _is_stuck(work) for work in self._work.values())

    def step(self) -> bool:
        """Take one table further, where one is due; whether that was done."""
        self._find()
        now = time.monotonic()
        table = next((table for table, work in self._work.items() if work.due_at <= now), None)
        if table is None:
            return False
        try:
            state = self._engine.destination.advance_rewrite(table, self._engine.run_id)
        except OperatorError as error:
            self._give_up(table, error)
            return True
        failpoint("rewrite.stepped")
        self._take_note(table, state)
        return state is None or not state.is_waiting

    def finish(self) -> None:
        """Step until nothing is left to do, a stop is asked for, or others hold their locks for too long."""
        while self.is_pending and not self._engine.stop.is_set():
            if not self.step():
                self._engine.stop.wait(_REST_SECONDS[0])

    def _find(self) -> None:
        found = set(self._engine.writer.rewritten)
        may_have = self._engine.destination.capabilities.has_gradual_rewrites
        if may_have and time.monotonic() >= self._look_at:
            found |= {state.table for state in self._engine.destination.rewrites(self._engine.unit.schema)}
            self._look_at = time.monotonic() + LOOK_EVERY_SECONDS
        for table in sorted(found - self._failed - self._work.keys()):
            if self._only is None or table.name in self._only:
                self._work[table] = _Work()

    def _take_note(self, table: TableId, state: RewriteState | None) -> None:
        work = self._work[table]
        if state is None or state.share >= 1:
            del self._work[table]
            self._engine.writer.refresh()
        if state is None:
            return
        if state.is_waiting:
            if work.waiting_since is None:
                work.waiting_since = time.monotonic()
                log.info("rewrite waits for a lock", table=str(table))
            work.due_at = time.monotonic() + random.uniform(*_REST_SECONDS)
            return
        work.waiting_since = None
        if state.share >= 1 or state.share >= work.noted + _NOTED_SHARE:
            work.noted = state.share
            columns = ", ".join(state.columns)
            log.info("rewriting columns", table=str(table), columns=columns, percent=int(state.share * 100))

    def _give_up(self, table: TableId, error: OperatorError) -> None:
        """Leave a table as it is: its values are all there, and writers go on filling both columns."""
        del self._work[table]
        self._failed.add(table)
        log.error("column not rewritten", table=str(table), error=str(error))
        entry = ErrorEntry(
            table, type(error).__name__, str(error), "the column keeps its former type", severity="error"
        )
        self._engine.destination.record_errors([entry], self._engine.run_id)


def _is_stuck(work: _Work) -> bool:
    return work.waiting_since is not None and time.monotonic() - work.waiting_since > PATIENCE_SECONDS
