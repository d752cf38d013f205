"""Warns of history that may be lost while a schema is streamed: a thread, in nobody's way."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog

from warp_resources.connectors.interfaces import Destination, Source, SourceScope
from warp_resources.errors import OperatorError, WarpError
from warp_resources.model.batches import ErrorEntry
from warp_resources.model.letters import ErrorSelection
from warp_resources.pipeline.beside import repeating
from warp_resources.pipeline.engine import Engine
from warp_resources.pipeline.history import Outlook, foreseen, spoken
from warp_resources.pipeline.options import open_destination

EVERY = timedelta(minutes=1)
HISTORY_SHORT = "history_short"
TOLD_AGAIN_AFTER = timedelta(hours=24)
"""For as long, an entry in ``error_log`` stands for an incident that another process began."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class HistoryWatch:
    """Looks at a schema's history and tells of each incident once, also when processes come and go.

    Args:
        source: may be in use by other threads.
        open_destination: gives a destination for one look; a stream's own is its writer's.
    """

    source: Source
    scope: SourceScope
    open_destination: Callable[[], Destination]
    run_id: str
    warned: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    is_blind: bool = False

    def look(self) -> None:
        """Look once; what keeps from looking is told once if it is for an operator."""
        try:
            with closing(self.open_destination()) as destination:
                self._judge(foreseen(self.source, destination, self.scope), destination)
            self.is_blind = False
        except OperatorError as error:
            if not self.is_blind:
                log.info("how far back the source's log goes is not known", reason=str(error))
            self.is_blind = True
        except WarpError as error:
            # The stream needs the same servers, and tells of them itself.
            log.debug("history not looked at", error=str(error))

    def _judge(self, found: list[Outlook], destination: Destination) -> None:
        self._end(self.warned - {outlook.table.name for outlook in found})
        for outlook in found:
            name = outlook.table.name
            if outlook.is_short and name not in self.warned:
                self.warned.add(name)
                self._warn(outlook, destination)
            elif outlook.is_ample and name in self.warned:
                self._end({name})
                log.info("history is long enough again", table=str(outlook.table), window=spoken(outlook.window))

    def _end(self, names: set[str]) -> None:
        """What comes of these from now on is another incident."""
        self.warned -= names
        self.ended |= names

    def _warn(self, outlook: Outlook, destination: Destination) -> None:
        log.warning("history may be lost soon", table=str(outlook.table), reason=outlook.text, remedy=outlook.remedy)
        if outlook.table.name in self.ended or not self._is_told(outlook.table.name, destination):
            entry = ErrorEntry(outlook.table, HISTORY_SHORT, outlook.text, f"nothing is lost yet. {outlook.remedy}")
            destination.record_errors([entry], self.run_id)

    def _is_told(self, name: str, destination: Destination) -> bool:
        since = datetime.now(UTC) - TOLD_AGAIN_AFTER
        selection = ErrorSelection(self.scope.schema, table=name, error_type=HISTORY_SHORT, since=since, limit=1)
        return bool(destination.logged_errors(selection))


def watching_history(engine: Engine) -> AbstractContextManager[None]:
    """Within the block, a schema's history is watched: at once, then every minute."""
    opening = partial(open_destination, engine.unit.config)
    watch = HistoryWatch(engine.source, engine.scope, opening, engine.run_id)
    return repeating("history-watch", lambda _: watch.look(), EVERY)
