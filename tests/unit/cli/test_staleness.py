"""Quiet streams are not behind, and those that are behind are not quiet."""

from __future__ import annotations

import pytest

from warp_resources.cli.staleness import Pace


@pytest.mark.parametrize(
    ("pace", "unreached", "silent", "lag"),
    [
        # A marker that moves every five seconds, and at once with every change.
        (Pace(0, 5), 3, 3, 3),
        (Pace(0, 5), 0, 9, 0),
        (Pace(0, 5), 0, 11, 11),
        (Pace(0, 5), 25, 11, 25),
        # One that moves every half minute while there is work, and every ten minutes while there is none.
        (Pace(30, 600), 28, 29, 28),
        (Pace(30, 600), 0, 300, 0),
        (Pace(30, 600), 1000, 1000, 1000),
        (Pace(30, 600), 0, 0, 0),
    ],
)
def test_lag(pace: Pace, unreached: float, silent: float, lag: float) -> None:
    # SPEC: P1
    assert pace.lag(unreached, silent) == lag
