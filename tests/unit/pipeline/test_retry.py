"""Backoff between attempts (SPEC R3)."""

import itertools
import threading

from warp_resources.pipeline.retry import Backoff, BackoffPolicy


def test_waits_grow_to_their_bound_and_start_again() -> None:
    # SPEC: R3
    stop = threading.Event()
    stop.set()
    backoff = Backoff(BackoffPolicy(max_retries=3, factor=2.0, max_seconds=5.0), stop)
    waits = [backoff.pause() for _ in range(12)]
    assert 0.1 <= waits[0] <= 0.3
    assert all(later >= earlier - 0.2 for earlier, later in itertools.pairwise(waits))
    assert max(waits) <= 5.0
    assert waits[-1] == 5.0
    backoff.reset()
    assert backoff.pause() <= 0.3


def test_an_incident_is_exhausted_after_its_retries() -> None:
    stop = threading.Event()
    stop.set()
    backoff = Backoff(BackoffPolicy(max_retries=2, factor=2.0, max_seconds=1.0), stop)
    seen = []
    for _ in range(4):
        backoff.pause()
        seen.append(backoff.is_exhausted)
    assert seen == [False, False, True, True]
