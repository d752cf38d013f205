"""Cuts the marker column of a batch table into windows, each of them a partition with a key."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import dagster as dg

from warp_resources.errors import OperatorError

UNMARKED = "none"
"""The partition of the rows whose marker column holds no time."""

DEFAULT_DAYS = 30
MOST_WINDOWS = 10_000
"""So that an hourly table with decades of rows does not drown the instance; ``start`` can say more."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Keys sort as their times do where years have four digits, also that of the Monday before; calendars look ahead.
_FIRST, _LAST = datetime(1000, 1, 6, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
_LONGEST = {
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(days=7),
    "month": timedelta(days=31),
}
# The window that now lies in is one too: it holds the newest rows.
_INCLUDING_NOW = 1
_CALENDARS: dict[str, Callable[[datetime], dg.TimeWindowPartitionsDefinition]] = {
    "hour": lambda start: dg.HourlyPartitionsDefinition(start, end_offset=_INCLUDING_NOW),
    "day": lambda start: dg.DailyPartitionsDefinition(start, end_offset=_INCLUDING_NOW),
    "week": lambda start: dg.WeeklyPartitionsDefinition(start, day_offset=1, end_offset=_INCLUDING_NOW),
    "month": lambda start: dg.MonthlyPartitionsDefinition(start, end_offset=_INCLUDING_NOW),
}


@dataclass(frozen=True, slots=True)
class Window:
    """``since`` <= marker < ``until``, None being open; ``unmarked``: also the rows without a marker."""

    since: datetime | None
    until: datetime | None
    unmarked: bool = False


def window_keys(every: str, start: datetime, now: datetime) -> list[str]:
    """The keys of the windows from the one that ``start`` lies in to the one that ``now`` lies in, the latest."""
    until = min(max(now, _FIRST), _LAST)
    # Not all are listed first: since the year 1 there are millions of hours.
    begin = max(start, _FIRST, until - _LONGEST[every] * MOST_WINDOWS)
    found = _calendar(every, min(begin, until)).get_partition_keys(current_time=until)
    return list(found[-MOST_WINDOWS:])


def key_at(every: str, at: datetime) -> str:
    """The key of the window that a time lies in."""
    return window_keys(every, at, at)[-1]


def window_of(every: str, key: str) -> Window:
    """The window of a key.

    Raises:
        OperatorError: the key is none of this calendar.
    """
    if key == UNMARKED:
        return Window(_EPOCH, _EPOCH, unmarked=True)
    calendar = _calendar(every, datetime(1, 1, 1, tzinfo=UTC))
    try:
        since = datetime.strptime(key, calendar.fmt).replace(tzinfo=UTC)
        span = calendar.time_window_for_partition_key(key)
    except ValueError:
        raise _no_window(every, key) from None
    if span.start != since or since.strftime(calendar.fmt) != key:
        raise _no_window(every, key)
    return Window(span.start, span.end)


def spans(every: str, keys: Sequence[str]) -> list[Window]:
    """The windows of several keys, neighbours joined into one."""
    # Keys of one calendar sort as their times do.
    windows = [window_of(every, key) for key in sorted(set(keys))]
    joined: list[Window] = []
    for window in windows:
        last = joined[-1] if joined else None
        if last is not None and last.until == window.since and not (last.unmarked or window.unmarked):
            joined[-1] = Window(last.since, window.until)
        else:
            joined.append(window)
    return joined


def first_window(start: date | None, earliest: datetime | None, now: datetime) -> datetime:
    """Where the windows begin: as configured, else with the first row, else a month ago."""
    if start is not None:
        return datetime(start.year, start.month, start.day, tzinfo=UTC)
    return min(earliest or now, now - timedelta(days=DEFAULT_DAYS))


def _calendar(every: str, start: datetime) -> dg.TimeWindowPartitionsDefinition:
    if every == "hour":
        begin = start.replace(minute=0, second=0, microsecond=0)
    else:
        begin = start.replace(hour=0, minute=0, second=0, microsecond=0)
        if every == "week":
            begin -= timedelta(days=min(begin.weekday(), begin.toordinal() - 1))
        elif every == "month":
            begin = begin.replace(day=1)
    return _CALENDARS[every](begin)


def _no_window(every: str, key: str) -> OperatorError:
    remedy = f"Choose one of the table's partitions, by {every}, or {UNMARKED!r}"
    return OperatorError(f"There is no window {key!r}", remedy=remedy)
