"""Times without a zone, around the nights in which clocks are put forward and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warp_resources.model.local_times import earliest_moment, shown_since, shown_until

BERLIN = "Europe/Berlin"
ZONES = st.sampled_from(["UTC", BERLIN, "America/New_York", "Australia/Lord_Howe", "America/Havana", "Pacific/Apia"])
YEARS = datetime(1995, 1, 1), datetime(2035, 1, 1)


def utc(day: int, hour: int, minute: int = 0, month: int = 10) -> datetime:
    return datetime(2024, month, day, hour, minute, tzinfo=UTC)


# SPEC: M2
@pytest.mark.parametrize(
    ("shown", "moment"),
    [
        (datetime(2024, 7, 1, 12), utc(1, 10, month=7)),
        (datetime(2024, 10, 27, 2, 30), utc(27, 0, 30)),
        (datetime(2024, 10, 27, 3), utc(27, 2)),
        (datetime(2024, 3, 31, 2, 30), utc(31, 0, 30, month=3)),
    ],
)
def test_a_time_stands_for_the_first_moment_that_it_may_mean(shown: datetime, moment: datetime) -> None:
    assert earliest_moment(shown, BERLIN) == moment


# SPEC: M2 D7
@pytest.mark.parametrize(
    ("at", "since", "until"),
    [
        (utc(26, 23, 50), datetime(2024, 10, 27, 1, 50), datetime(2024, 10, 27, 1, 50)),
        # Half past two, which is half an hour before two is shown again, and an hour later.
        (utc(27, 0, 30), datetime(2024, 10, 27, 1, 30), datetime(2024, 10, 27, 2, 30)),
        (utc(27, 1, 30), datetime(2024, 10, 27, 2, 30), datetime(2024, 10, 27, 3, 30)),
        (utc(27, 2), datetime(2024, 10, 27, 3), datetime(2024, 10, 27, 3)),
        (utc(31, 1, month=3), datetime(2024, 3, 31, 3), datetime(2024, 3, 31, 3)),
    ],
)
def test_what_clocks_show_from_a_moment_on_and_until_it(at: datetime, since: datetime, until: datetime) -> None:
    assert (shown_since(at, BERLIN), shown_until(at, BERLIN)) == (since, until)


# SPEC: M2 T7
@given(st.datetimes(*YEARS, timezones=st.just(UTC)), st.timedeltas(timedelta(0), timedelta(hours=4)), ZONES, ZONES)
def test_nothing_that_a_clock_shows_later_is_missed(at: datetime, later: timedelta, zone: str, other: str) -> None:
    shown = (at + later).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    assert shown_since(at, zone) <= shown
    assert shown_until(at + later, zone) >= at.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    # A marker that was made of a time, and is read in any zone, lies before whatever was shown after it.
    assert earliest_moment(shown, zone) <= at + later
    assert shown_since(earliest_moment(shown, other), other) <= shown


def test_the_edges_of_the_calendar_hold() -> None:
    for zone in ("America/New_York", "Asia/Tokyo", "UTC"):
        assert earliest_moment(datetime.min, zone) >= datetime.min.replace(tzinfo=UTC)
        assert earliest_moment(datetime(9999, 12, 31), zone).year >= 9999
        assert shown_since(datetime.min.replace(tzinfo=UTC), zone) <= datetime(1, 1, 1, 12)
        assert shown_until(datetime.max.replace(tzinfo=UTC), zone) >= datetime(9999, 12, 31)
