"""When a source's log is too short for what has yet to be read from it, and how often that is told."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from warp_resources.connectors.interfaces import LogWindow, SourceScope
from warp_resources.connectors.memory.destination import MemoryDestination, MemoryOptions
from warp_resources.connectors.memory.server import MemoryServer
from warp_resources.connectors.memory.source import MemorySource, MemorySourceOptions
from warp_resources.errors import HistoryLost, OperatorError
from warp_resources.model.letters import ErrorSelection
from warp_resources.model.tables import TableId
from warp_resources.pipeline.history import Outlook, spoken, told_of_loss
from warp_resources.pipeline.history_watch import HISTORY_SHORT, HistoryWatch

NOW = datetime(2024, 5, 1, tzinfo=UTC)
SCOPE = SourceScope("shop", "shop")


def outlook(held: timedelta, lag: timedelta | None, *, is_full: bool = True, table: str = "") -> Outlook:
    return Outlook(TableId("shop", table), LogWindow(NOW - held, NOW, is_full, "Make it longer"), lag)


# SPEC: R4
@pytest.mark.parametrize(
    ("held", "lag", "is_full", "is_short", "is_ample"),
    [
        # An hour is enough for a stream that is at the end, and one of a source without times.
        (60, 0, True, False, False),
        (75, 0, True, False, True),
        (59, 0, True, True, False),
        (60, None, True, False, False),
        (59, None, True, True, False),
        # Else three times what it is behind.
        (180, 60, True, False, False),
        (225, 60, True, False, True),
        (179, 60, True, True, False),
        (60, 20, True, False, False),
        (60, 21, True, True, False),
        # What is behind the log altogether is lost already, or about to be.
        (60, 90, True, True, False),
        # A log that has room left loses nothing, however young it is and however far back the place.
        (1, 0, False, False, True),
        (60, 60, False, False, True),
    ],
)
def test_a_full_log_is_to_hold_an_hour_and_three_times_the_lag(
    held: int, lag: int | None, is_full: bool, is_short: bool, is_ample: bool
) -> None:
    found = outlook(timedelta(minutes=held), None if lag is None else timedelta(minutes=lag), is_full=is_full)
    assert (found.is_short, found.is_ample) == (is_short, is_ample)


def test_what_is_told_says_how_short_it_is_and_what_to_do() -> None:
    # SPEC: R4
    stream = outlook(timedelta(hours=5), timedelta(hours=2))
    assert stream.text == (
        "The source's log holds 5.0 hours, and the stream is 2.0 hours behind its end: less than three times that"
    )
    assert stream.remedy == "Make it longer"
    table = outlook(timedelta(hours=5), timedelta(hours=2), table="orders")
    assert "shop.orders, which is set aside, is 2.0 hours behind" in table.text
    assert table.remedy == "Mend what keeps shop.orders back, and: Make it longer"
    assert outlook(timedelta(minutes=25), timedelta(0)).text == "The source's log holds 25.0 minutes: less than an hour"
    assert outlook(timedelta(days=3), timedelta(0)).text == "The source's log holds 3.0 days"
    assert outlook(timedelta(0), None, is_full=False).text.endswith("0 seconds and is not full yet")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0 seconds"), (119, "119 seconds"), (120, "2.0 minutes"), (7199, "120.0 minutes"), (172_800, "2.0 days")],
)
def test_spans_are_told_in_one_unit(seconds: int, text: str) -> None:
    assert spoken(timedelta(seconds=seconds)) == text


class Blind(MemorySource):
    """A source whose user may not ask for its log's window."""

    def log_window(self, scope: SourceScope) -> LogWindow | None:
        raise OperatorError("The user may not ask", remedy="Grant it")


class Site:
    """A stream between two servers in memory."""

    def __init__(self, source: type[MemorySource] = MemorySource) -> None:
        name = uuid.uuid4().hex
        self.server = MemoryServer.named(name)
        self.server.create_table("shop", "users")
        self.source = source(MemorySourceOptions(server=name))
        self.destination = MemoryDestination(MemoryOptions(store=name))
        self.destination.prepare()

    def watch(self) -> HistoryWatch:
        """One more process."""
        return HistoryWatch(self.source, SCOPE, lambda: self.destination, "run")

    def told(self) -> list[str]:
        found = self.destination.logged_errors(ErrorSelection("shop", error_type=HISTORY_SHORT))
        return [f"{its.entry.severity} {its.entry.table}: {its.entry.message}" for its in found]


def test_an_incident_is_told_once_whatever_process_looks() -> None:
    # SPEC: R4
    site = Site()
    first = site.watch()
    first.look()
    site.destination.start_stream("shop", site.source.log_end(SCOPE))
    first.look()
    assert site.told() == [], "a young log has lost nothing"
    site.server.put("shop", "users", {"_id": 1})
    site.server.trim_log()
    for watch in (first, first, site.watch(), site.watch()):
        watch.look()
    [told] = site.told()
    assert told.startswith("warning shop.: The source's log holds 0 seconds")
    assert first.warned == {""}


def test_a_log_that_may_not_be_asked_warns_of_nothing() -> None:
    # SPEC: R4
    site = Site(Blind)
    site.destination.start_stream("shop", site.source.log_end(SCOPE))
    watch = site.watch()
    watch.look()
    assert watch.is_blind
    assert site.told() == []
    lost = HistoryLost("Gone", remedy="Resync")
    assert told_of_loss(site.source, SCOPE, site.source.log_end(SCOPE), lost) == ("Gone", "Resync")


def test_what_is_lost_is_told_with_what_the_log_still_has() -> None:
    # SPEC: R4
    site = Site()
    message, remedy = told_of_loss(site.source, SCOPE, site.source.log_end(SCOPE), HistoryLost("Gone"))
    assert message == "Gone: the log holds 0 seconds"
    assert "Trim" in remedy
