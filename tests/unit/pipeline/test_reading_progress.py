"""How far a reading is, and how long the rest of it will take."""

from __future__ import annotations

import pytest

from warp_resources.model.positions import GenerationState, KeyRange, SliceState
from warp_resources.model.tables import TableId
from warp_resources.pipeline.reading_progress import duration, only_slices, progress_of

USERS = TableId("shop", "users")
Part = tuple[bool, int, float]


def reading(*parts: Part) -> GenerationState:
    """A reading of slices, each whether it is done, its rows, and the seconds that they took."""
    slices = tuple(
        SliceState("resync-1", f"slice-{number:02d}", KeyRange(), None, is_done, None, rows, seconds)
        for number, (is_done, rows, seconds) in enumerate(parts)
    )
    return GenerationState(USERS, "resync-1", 1, True, slices)


NEW, DONE = (False, 0, 0.0), (True, 1000, 2.0)


@pytest.mark.parametrize(
    ("parts", "estimate", "readers", "rows", "total", "speed", "left"),
    [
        # SPEC: L4, M5
        ([NEW, NEW], 2000, 2, 0, 2000, 0.0, None),
        ([DONE, NEW], 2000, 1, 1000, 2000, 500.0, 2.0),
        ([DONE, NEW, NEW], 3000, 2, 1000, 3000, 1000.0, 2.0),
        # Nobody reads: what is left takes as long as nobody knows.
        ([DONE, NEW], 2000, 0, 1000, 2000, 0.0, None),
        # Two readers, but one slice for both: it takes as long as one needs.
        ([DONE, DONE, DONE, (False, 0, 0.0)], 4000, 2, 3000, 4000, 500.0, 2.0),
        # One slice is larger than its share: the other has what is left, not its whole share.
        ([(False, 1800, 3.6), (False, 0, 0.0)], 2000, 2, 1800, 2000, 1000.0, 0.4),
        # The estimate is unknown, or too low: the slices that are done tell.
        ([DONE, NEW, NEW, NEW], None, 1, 1000, 4000, 500.0, 6.0),
        ([DONE, NEW, NEW, NEW], 10, 1, 1000, 4000, 500.0, 6.0),
        ([(False, 500, 1.0), NEW], None, 1, 500, None, 500.0, None),
        ([(False, 500, 1.0), NEW], 100, 1, 500, 500, 500.0, 0.0),
        # All is read, and stale rows may be removed yet.
        ([DONE, DONE], 5000, 2, 2000, 2000, 1000.0, 0.0),
        # An empty table.
        ([(True, 0, 0.0)], 0, 1, 0, 0, 0.0, 0.0),
    ],
)
def test_the_rest_takes_as_long_as_its_readers_need(
    parts: list[Part], estimate: int | None, readers: int, rows: int, total: int | None, speed: float, left: float
) -> None:
    found = progress_of(reading(*parts), estimate, readers)
    assert (found.rows, found.row_estimate, found.rows_per_second, found.seconds_left) == (rows, total, speed, left)
    assert (found.slices_done, found.slice_count) == (sum(is_done for is_done, _, _ in parts), len(parts))


def test_what_was_seen_counts_more_than_the_average_of_before() -> None:
    # SPEC: L4
    found = progress_of(reading(DONE, NEW), 2000, 1, rows_per_second=100.0)
    assert (found.rows_per_second, found.seconds_left) == (100.0, 10.0)


def test_a_run_of_some_slices_tells_of_these() -> None:
    # SPEC: L4, D7
    found = progress_of(only_slices(reading(DONE, NEW, NEW), frozenset({"slice-01"})), 1000, 1)
    assert (found.rows, found.slice_count, found.row_estimate) == (0, 1, 1000)


def test_people_read_it() -> None:
    # SPEC: L4
    assert str(progress_of(reading(DONE, NEW), 2000, 1)) == (
        "1,000 of about 2,000 rows, 1 of 2 slices, 500 rows/s, 2 s left"
    )
    assert str(progress_of(reading(NEW), None, 0)) == "0 rows, 0 of 1 slices"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")]
)
def test_a_duration_as_people_say_it(seconds: float, text: str) -> None:
    # SPEC: L4
    assert duration(seconds) == text
