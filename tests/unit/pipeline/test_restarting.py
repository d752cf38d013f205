"""How soon a child that ended is started again: soon after a kill, later and later where it cannot live."""

from __future__ import annotations

import pytest

from warp_resources.pipeline.restarting import Restarts

KILLED, FAILED, DONE = -9, 1, 0


def delays(*ends: tuple[int, float]) -> list[float]:
    found, series = [], Restarts()
    for code, seconds in ends:
        series = series.after(code, seconds)
        found.append(series.delay(code))
    return found


# FAULTS: 1
def test_one_that_was_killed_at_its_work_is_back_at_once_however_often() -> None:
    assert set(delays(*[(KILLED, 5.0)] * 1000)) == {0.5}


# FAULTS: 1
def test_one_that_is_killed_while_it_starts_is_back_within_two_seconds() -> None:
    assert delays(*[(KILLED, 0.3)] * 1000)[:3] == [1.0, 2.0, 2.0]
    assert max(delays(*[(KILLED, 0.3)] * 1000)) == 2.0


def test_one_that_fails_while_it_starts_rests_for_longer_each_time() -> None:
    assert delays(*[(FAILED, 0.3)] * 8) == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]


@pytest.mark.parametrize("end", [(FAILED, 61.0), (DONE, 0.1), (KILLED, 4.0)], ids=["steady", "done", "served"])
def test_a_good_life_ends_the_series(end: tuple[int, float]) -> None:
    assert delays(*[(FAILED, 0.3)] * 8, end, (FAILED, 0.3))[-2:] == [0.5, 1.0]
