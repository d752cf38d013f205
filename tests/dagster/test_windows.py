"""Windows of the marker column: their keys, their bounds, and the list that the instance keeps."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warp_resources.dagster_bridge.partitions import keep_windows
from warp_resources.dagster_bridge.windows import (
    MOST_WINDOWS,
    UNMARKED,
    Window,
    first_window,
    key_at,
    spans,
    window_keys,
    window_of,
)
from warp_resources.errors import OperatorError

NOON = datetime(2024, 5, 17, 12, 30, tzinfo=UTC)


def day(number: int) -> datetime:
    return datetime(2024, 5, number, tzinfo=UTC)


@pytest.mark.parametrize(
    ("every", "first", "last", "count"),
    [
        ("hour", "2024-05-15-08:00", "2024-05-17-12:00", 53),
        ("day", "2024-05-15", "2024-05-17", 3),
        ("week", "2024-05-13", "2024-05-13", 1),
        ("month", "2024-05-01", "2024-05-01", 1),
    ],
)
def test_windows_reach_from_the_start_to_the_one_that_now_lies_in(
    every: str, first: str, last: str, count: int
) -> None:
    # SPEC: D7
    keys = window_keys(every, datetime(2024, 5, 15, 8, 59, tzinfo=UTC), NOON)
    assert (keys[0], keys[-1], len(keys)) == (first, last, count)


@pytest.mark.parametrize("every", ["hour", "day", "week", "month"])
def test_the_first_windows_of_a_long_past_are_left_out_before_they_are_listed(every: str) -> None:
    # SPEC: D7
    first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    keys = window_keys(every, first, NOON)
    assert keys[-1] == key_at(every, NOON)
    assert len(keys) <= MOST_WINDOWS
    assert len(keys) > 9_000
    assert key_at(every, first) < keys[0] < keys[-1] < key_at(every, last)


@given(
    st.sampled_from(["hour", "day", "week", "month"]),
    st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),
)
def test_the_window_of_a_key_holds_the_time_that_gave_the_key(every: str, at: datetime) -> None:
    # SPEC: D7
    window = window_of(every, key_at(every, at))
    assert window.since is not None
    assert window.until is not None
    assert window.since <= at < window.until
    assert not window.unmarked


@pytest.mark.parametrize("key", ["", "2024-05", "2024-5-1", "2024-02-30", "2024-05-01-00:00", "slice-00"])
def test_a_key_of_no_window_is_refused(key: str) -> None:
    # SPEC: D7
    with pytest.raises(OperatorError, match="no window"):
        window_of("day", key)


def test_neighbouring_windows_are_read_as_one() -> None:
    # SPEC: D7
    found = spans("day", ["2024-05-05", "2024-05-02", UNMARKED, "2024-05-01"])
    assert found[:2] == [Window(day(1), day(3)), Window(day(5), day(6))]
    assert found[2].unmarked
    assert found[2].since == found[2].until


@pytest.mark.parametrize(
    ("start", "earliest", "expected"),
    [
        (date(2020, 1, 1), NOON, datetime(2020, 1, 1, tzinfo=UTC)),
        (None, datetime(2023, 1, 2, tzinfo=UTC), datetime(2023, 1, 2, tzinfo=UTC)),
        (None, NOON, NOON - timedelta(days=30)),
        (None, None, NOON - timedelta(days=30)),
    ],
)
def test_windows_begin_as_configured_or_with_the_first_row(
    start: date | None, earliest: datetime | None, expected: datetime
) -> None:
    # SPEC: D7
    assert first_window(start, earliest, NOON) == expected


def test_the_instance_lists_windows_in_order_also_when_earlier_ones_are_found() -> None:
    # SPEC: D7
    instance = dg.DagsterInstance.ephemeral()
    keep_windows(instance, "w", [UNMARKED, "2024-05-02"])
    keep_windows(instance, "w", [UNMARKED, "2024-05-02", "2024-05-03"])
    assert list(instance.get_dynamic_partitions("w")) == [UNMARKED, "2024-05-02", "2024-05-03"]
    keep_windows(instance, "w", [UNMARKED, "2024-05-01", "2024-05-02"])
    assert list(instance.get_dynamic_partitions("w")) == [UNMARKED, "2024-05-01", "2024-05-02", "2024-05-03"]
