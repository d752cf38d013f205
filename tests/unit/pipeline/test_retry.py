"""Backoff between attempts (SPEC R3)."""

import itertools
import threading

import pytest

from warp_resources.errors import Exhausted, OperatorError, TransientError, Unreachable, WarpError
from warp_resources.pipeline.retry import MOST_SECONDS_UNSEEN, SOONEST_SECONDS, Backoff, BackoffPolicy, Wait

POLICY = BackoffPolicy(max_retries=3, factor=2.0, max_seconds=5.0)


def _stopped() -> threading.Event:
    stop = threading.Event()
    stop.set()
    return stop


def test_waits_grow_to_their_bound_and_start_again() -> None:
    # SPEC: R3
    backoff = Backoff(POLICY, _stopped())
    waits = [backoff.pause() for _ in range(12)]
    assert 0.05 <= waits[0] <= 0.1
    assert all(later > 1.5 * earlier for earlier, later in itertools.pairwise(waits[:6]))
    assert 3.5 <= waits[-1] <= max(waits) <= 4.5
    backoff.reset()
    assert backoff.pause() <= 0.1


def test_an_incident_is_exhausted_after_its_retries() -> None:
    backoff = Backoff(BackoffPolicy(max_retries=2, factor=2.0, max_seconds=1.0), _stopped())
    seen = []
    for _ in range(4):
        backoff.pause()
        seen.append(backoff.is_exhausted)
    assert seen == [False, False, True, True]


# SPEC: R3
@pytest.mark.parametrize(
    ("was_unreachable", "looks", "left"),
    [
        (True, [], 200),
        (True, [True], 0),
        (True, [False, False, True], 0),
        (False, [], 200),
        (False, [True, True], 200),
        (False, [True, False], 200),
        (False, [True, False, True], 0),
        (True, [True, False], 200),
        (True, [True, True], 0),
    ],
    ids=str,
)
def test_a_wait_ends_when_what_was_silent_answers(was_unreachable: bool, looks: list[bool], left: int) -> None:
    wait = Wait(300, is_silent=was_unreachable)
    for answers in looks:
        wait.saw(answers)
    assert max(0, wait.left(100)) == left


def test_a_wait_is_never_cut_to_nothing() -> None:
    """Servers that fall at each attempt are not tried at the pace of their restarts."""
    wait = Wait(300, is_silent=True)
    wait.saw(True)
    assert wait.left(0) == SOONEST_SECONDS
    short = Wait(1, is_silent=True)
    short.saw(True)
    assert short.left(0) == 1


@pytest.mark.parametrize(("seconds", "attempt"), [(1, 7), (4.9, 7), (5.1, 0), (60, 0)])
def test_a_session_that_worked_ends_the_incident(seconds: float, attempt: int) -> None:
    backoff = Backoff(POLICY, _stopped())
    for _ in range(7):
        backoff.pause()
    backoff.worked(seconds)
    assert backoff.attempt == attempt


@pytest.mark.parametrize("cause", [Exhausted("The disk is full"), OperatorError("A grant is missing")])
def test_what_ends_unseen_is_tried_again_soon(cause: WarpError) -> None:
    # SPEC: R3  FAULTS: 14, 19
    backoff = Backoff(BackoffPolicy(max_retries=3, factor=2.0, max_seconds=300.0), _stopped())
    assert max(backoff.pause(cause) for _ in range(20)) <= MOST_SECONDS_UNSEEN
    assert backoff.pause(TransientError("A transaction collided")) > MOST_SECONDS_UNSEEN


def test_what_no_look_shows_is_tried_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A member that streams are read from may be out of reach while all that a look asks of is there."""
    # SPEC: R3
    backoff = Backoff(BackoffPolicy(max_retries=3, factor=2.0, max_seconds=300.0), _stopped(), lambda: True)
    monkeypatch.setattr(backoff, "_pass", lambda wait: [True])
    waits = [backoff.pause(Unreachable("No answer")) for _ in range(20)]
    assert max(waits[15:]) <= MOST_SECONDS_UNSEEN
    assert waits[-1] > SOONEST_SECONDS


@pytest.mark.parametrize(("waited", "seconds", "attempt"), [(40, 30, 7), (40, 41, 0), (270, 61, 0)])
def test_it_has_to_work_for_as_long_as_was_waited_but_a_minute_is_enough(
    waited: float, seconds: float, attempt: int
) -> None:
    # SPEC: R3
    backoff = Backoff(POLICY, _stopped())
    for _ in range(7):
        backoff.pause()
    backoff._waited = waited
    backoff.worked(seconds)
    assert backoff.attempt == attempt
