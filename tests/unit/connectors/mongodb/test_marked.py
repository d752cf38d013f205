"""The query of a marker's range (SPEC D7)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import bson
from bson import DatetimeMS, Int64

from warp_resources.connectors.interfaces import MarkedRange
from warp_resources.connectors.mongodb.marked import last_of_each_key, marked_filter

SECOND = datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)


def test_everything_is_no_condition() -> None:
    assert marked_filter(MarkedRange("at", None, None)) == {}


def test_bounds_between_milliseconds_lose_no_row() -> None:
    # A row at 1,001 ms lies below 1,000.5 + 1 ms, and one at 1,000 ms does not lie above 1,000.5.
    since = SECOND + timedelta(microseconds=500)
    bounds = marked_filter(MarkedRange("at", since, since + timedelta(milliseconds=1), unmarked=False))["at"]
    assert (bounds["$gte"], bounds["$lt"]) == (DatetimeMS(1001), DatetimeMS(1002))


def test_whole_milliseconds_stay() -> None:
    bounds = marked_filter(MarkedRange("at", SECOND, None, unmarked=False))["at"]
    assert bounds["$gte"] == DatetimeMS(1000)
    assert "$lt" not in bounds


def test_a_key_that_a_scan_meets_twice_is_kept_in_its_last_state() -> None:
    # The scan of an index goes forwards, and so does the marker of a row that is updated meanwhile.
    first, other, again = (bson.encode(row) for row in ({"_id": 1, "n": 0}, {"_id": 2}, {"_id": Int64(1), "n": 1}))
    assert sorted(last_of_each_key([first, other, again])) == sorted([other, again])
    assert last_of_each_key([first, other]) == [first, other]
