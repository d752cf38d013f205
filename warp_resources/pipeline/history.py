"""Judges whether the source's log still reaches far enough back for what has yet to be read from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from warp_resources.connectors.interfaces import Destination, LogWindow, Source, SourceScope
from warp_resources.errors import HistoryLost, WarpError
from warp_resources.model.positions import Position, StreamState, TableState
from warp_resources.model.tables import TableId

LEAST = timedelta(hours=1)
"""A log that holds less leaves too little time to mend whatever stops a stream."""
MOST_LAGS = 3
"""What has yet to be read is to lie in the newer third of the log."""
ENOUGH = 1.25
"""A log is cut in pieces, so that its window goes to and fro around a bound."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """How a log and a place in it stand to each other; a stream's own has the empty table name.

    ``lag``: how far the place is from the log's end, None where the source cannot tell.
    """

    table: TableId
    log: LogWindow
    lag: timedelta | None

    @property
    def window(self) -> timedelta:
        """The span that the log holds."""
        return max(timedelta(0), self.log.newest - self.log.oldest)

    @property
    def wanted(self) -> timedelta:
        """The span that it should hold."""
        return LEAST if self.lag is None else max(LEAST, MOST_LAGS * self.lag)

    @property
    def is_short(self) -> bool:
        """Whether history may be lost soon. What a log that is not full has, it goes on having."""
        return self.log.is_full and self.window < self.wanted

    @property
    def is_ample(self) -> bool:
        """Whether the log is so long again that a warning of before is over."""
        return not self.log.is_full or self.window >= ENOUGH * self.wanted

    @property
    def text(self) -> str:
        """One sentence without a full stop."""
        held = f"The source's log holds {spoken(self.window)}"
        if self.lag is not None and self.lag > timedelta(seconds=10):
            whose = f"{self.table}, which is set aside," if self.table.name else "the stream"
            held += f", and {whose} is {spoken(self.lag)} behind its end"
        if not self.is_short:
            return held if self.log.is_full else f"{held} and is not full yet"
        if self.lag is not None and self.window < MOST_LAGS * self.lag:
            return f"{held}: less than three times that"
        return f"{held}: less than an hour"

    @property
    def remedy(self) -> str:
        """What to do before history is lost."""
        mend = f"Mend what keeps {self.table} back, and: " if self.table.name else ""
        return f"{mend}{self.log.remedy}"


def outlooks(
    source: Source, log: LogWindow, schema: str, stream: StreamState | None, states: Mapping[str, TableState]
) -> list[Outlook]:
    """The outlook of a schema's stream, and of each of its tables that is set aside at a place of its own."""
    if stream is None:
        return []
    places = {"": stream.position}
    for name, state in sorted(states.items()):
        if state.aside_position is not None and state.covered_from is not None:
            places[name] = state.aside_position
    return [Outlook(TableId(schema, name), log, _lag(source, log, place)) for name, place in places.items()]


def foreseen(source: Source, destination: Destination, scope: SourceScope) -> list[Outlook]:
    """The outlooks of a schema as both sides are now; none where it never streamed, or where there is no telling.

    Raises:
        OperatorError: the source may not be asked; with the grant.
    """
    stream = destination.stream_state(scope.schema)
    log = source.log_window(scope) if stream is not None else None
    return [] if log is None else outlooks(source, log, scope.schema, stream, destination.table_states(scope.schema))


def told_of_loss(source: Source, scope: SourceScope, position: Position, lost: HistoryLost) -> tuple[str, str]:
    """What to say of history that is lost: how far back the log goes by now, and what makes it longer."""
    try:
        log = source.log_window(scope)
        since = source.time_of(position)
    except WarpError:
        return lost.message, lost.remedy or ""
    if log is None:
        return lost.message, lost.remedy or ""
    told = f"{lost.message}: the log holds {spoken(log.newest - log.oldest)}"
    if since is not None:
        told += f", and the position was {spoken(log.newest - since)} behind its end"
    return told, log.remedy


def spoken(span: timedelta) -> str:
    """A span as people say it, in one unit."""
    seconds = max(0.0, span.total_seconds())
    for size, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} seconds"


def _lag(source: Source, log: LogWindow, position: Position) -> timedelta | None:
    at = source.time_of(position)
    return None if at is None else max(timedelta(0), log.newest - at)
