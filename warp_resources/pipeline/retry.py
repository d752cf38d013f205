"""Waits between attempts, so that a failing server is neither hammered nor forgotten."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from tenacity import RetryCallState, wait_exponential_jitter


@dataclass(frozen=True, slots=True)
class BackoffPolicy:
    """``max_retries`` attempts make an incident; ``factor`` is the base of the growth."""

    max_retries: int
    factor: float
    max_seconds: float


class Backoff:
    """Counts the attempts of one incident and waits longer before each, with jitter."""

    def __init__(self, policy: BackoffPolicy, stop: threading.Event) -> None:
        self._policy = policy
        self._stop = stop
        self._wait = wait_exponential_jitter(multiplier=0.1, max=policy.max_seconds, exp_base=policy.factor, jitter=0.2)
        self.attempt = 0

    @property
    def is_exhausted(self) -> bool:
        """Whether the incident has outlasted ``max_retries`` and is to be reported as a failure."""
        return self.attempt > self._policy.max_retries

    def pause(self) -> float:
        """Count one more attempt and wait for it, or until the stop is asked for; seconds waited."""
        self.attempt += 1
        state = RetryCallState(None, None, (), {})  # type: ignore[arg-type]
        state.attempt_number = self.attempt
        seconds = self._wait(state)
        self._stop.wait(seconds)
        return seconds

    def reset(self) -> None:
        self.attempt = 0
