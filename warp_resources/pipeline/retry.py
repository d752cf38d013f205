"""Waits between attempts, so that a failing server is neither hammered nor forgotten."""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tenacity import RetryCallState, wait_exponential

from warp_resources.errors import ConnectionLost, Exhausted, OperatorError, Unreachable

STEADY_SECONDS = 5.0
"""A session that worked for this long, and no less than was waited before it, ends the incident."""
_LONG_SECONDS = 60.0
"""A session that worked for this long ends it, however long was waited."""
SOONEST_SECONDS = 3.0
"""What is waited at least once an incident has grown, whatever a look shows: servers may fall at each attempt."""
LOOK_SECONDS = 1.0
"""Between two looks at servers that are silent, give or take a half: many processes wait for the same one."""
_LOOK_AGAIN_SECONDS = 4.0
"""Between two looks at servers that answer: only their falling silent is new."""
MOST_SECONDS_AFTER_A_LOSS = 10.0
"""Before a connection that broke off is made anew: it says nothing against the next one."""
MOST_SECONDS_UNSEEN = 15.0
"""Before a server is tried again that has no room, lets nobody in, or is there for a look alone: none shows its end."""
_FIRST_SECONDS = 0.1
_LEAST_SHARE, _LARGEST_SHARE = 0.7, 0.9
"""Of what is due: jitter, and room for a start within the time that the bound gives."""

Look = Callable[[], bool]
"""Whether all servers answer; takes a few seconds at most."""


@dataclass(frozen=True, slots=True)
class BackoffPolicy:
    """``max_retries`` attempts make an incident; ``factor`` is the base of the growth."""

    max_retries: int
    factor: float
    max_seconds: float


@dataclass(slots=True)
class Wait:
    """One wait between two attempts: it ends at its time, or once servers that were silent answer again.

    Args:
        seconds: how long it is at most.
        is_silent: a server did not answer the attempt before it.
    """

    seconds: float
    is_silent: bool
    has_answered: bool = field(default=False, init=False)

    def left(self, passed: float) -> float:
        """How long it goes on after so many seconds, if nothing is seen meanwhile."""
        return (min(self.seconds, SOONEST_SECONDS) if self.has_answered else self.seconds) - passed

    def saw(self, answers: bool) -> None:
        """Take note of a look at the servers."""
        self.has_answered = answers and (self.is_silent or self.has_answered)
        self.is_silent = not answers

    @property
    def look_after(self) -> float:
        """How long until the next look."""
        return LOOK_SECONDS if self.is_silent else _LOOK_AGAIN_SECONDS


class Backoff:
    """Counts the attempts of one incident and waits longer before each, with jitter.

    Args:
        look: cuts a wait short when servers that were silent answer again.
    """

    def __init__(self, policy: BackoffPolicy, stop: threading.Event, look: Look | None = None) -> None:
        self._policy = policy
        self._stop = stop
        self._look = look
        self._wait = wait_exponential(multiplier=_FIRST_SECONDS, max=policy.max_seconds, exp_base=policy.factor)
        self._is_deceived = False
        self._waited = 0.0
        self.attempt = 0

    @property
    def is_exhausted(self) -> bool:
        """Whether the incident has outlasted ``max_retries`` and is to be reported as a failure."""
        return self.attempt > self._policy.max_retries

    def pause(self, error: BaseException | None = None) -> float:
        """Count one more attempt and wait for it, or until the stop is asked for; the seconds that were due.

        Args:
            error: what ended the attempt before; what was unreachable is looked for.
        """
        self.attempt += 1
        was_unreachable = isinstance(error, Unreachable)
        # Looks that see nothing of what fails will not see its end either.
        most = min(_most_seconds(error), MOST_SECONDS_UNSEEN if self._is_deceived and was_unreachable else math.inf)
        wait = Wait(min(most, self._seconds()), is_silent=was_unreachable and not self._is_deceived)
        looks = self._pass(wait)
        if looks:
            # Unreachable for the attempt, yet there whenever looked at: looks say nothing of the next attempt either.
            self._is_deceived = was_unreachable and all(looks)
        return wait.seconds

    def worked(self, seconds: float) -> None:
        """A session did its work for so long before it failed, which may well have been of another cause."""
        if seconds >= max(STEADY_SECONDS, min(self._waited, _LONG_SECONDS)):
            self.reset()

    def reset(self) -> None:
        self.attempt = 0
        self._is_deceived = False

    def _seconds(self) -> float:
        state = RetryCallState(None, None, (), {})  # type: ignore[arg-type]
        state.attempt_number = self.attempt
        return self._wait(state) * random.uniform(_LEAST_SHARE, _LARGEST_SHARE)

    def _pass(self, wait: Wait) -> list[bool]:
        """Let a wait go by; what the looks have shown."""
        looks: list[bool] = []
        began = time.monotonic()
        look_at = began + _jittered(LOOK_SECONDS)
        while not self._stop.is_set() and (left := wait.left(time.monotonic() - began)) > 0:
            if self._look is not None and time.monotonic() >= look_at:
                looks.append(self._look())
                wait.saw(looks[-1])
                look_at = time.monotonic() + _jittered(wait.look_after)
            else:
                self._stop.wait(min(left, max(0.0, look_at - time.monotonic())) if self._look else left)
        self._waited = time.monotonic() - began
        return looks


def _most_seconds(error: BaseException | None) -> float:
    if isinstance(error, ConnectionLost):
        return MOST_SECONDS_AFTER_A_LOSS
    return MOST_SECONDS_UNSEEN if isinstance(error, Exhausted | OperatorError) else math.inf


def _jittered(seconds: float) -> float:
    return seconds * random.uniform(0.5, 1.5)
