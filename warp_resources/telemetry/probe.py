"""Asks in a thread of its own what may take long to answer, and gives the latest answer in time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

Answer = TypeVar("Answer")

PATIENCE_SECONDS = 1.5
"""How long a new answer is waited for: a scraper gives up after ten seconds, and there may be two probes."""
OVERDUE_SECONDS = 5.0
"""From then on an answer that does not come is one."""


class Probe(Generic[Answer]):
    """A question that is asked again each time somebody wants to know, one at a time.

    Args:
        ask: gives the answer, however long it takes; called in the probe's thread only.
        close: called in that thread at the end.
    """

    def __init__(
        self,
        ask: Callable[[], Answer],
        close: Callable[[], None],
        *,
        patience: float = PATIENCE_SECONDS,
        overdue: float = OVERDUE_SECONDS,
    ) -> None:
        self._ask, self._close = ask, close
        self._patience, self._overdue = patience, overdue
        self._changed = threading.Condition()
        self._asked_at: float | None = None
        self._answer: Answer | None = None
        self._failure: BaseException | None = None
        self._is_closed = False
        self._thread = threading.Thread(target=self._serve, name="probe", daemon=True)
        self._thread.start()

    def latest(self) -> Answer | None:
        """A new answer if it comes in time, else the one before; None where the question is overdue."""
        with self._changed:
            if self._asked_at is None:
                self._asked_at = time.monotonic()
                self._changed.notify_all()
            asked_at = self._asked_at
            left = asked_at + self._patience - time.monotonic()
            is_answered = self._changed.wait_for(lambda: self._asked_at != asked_at, max(0.0, left))
            if self._failure is not None:
                raise self._failure
            is_overdue = not is_answered and time.monotonic() - asked_at > self._overdue
            return None if is_overdue else self._answer

    def close(self) -> None:
        """End the thread; one that still waits for its answer is left to the end of the process."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._thread.join(self._patience)

    def _serve(self) -> None:
        try:
            while self._is_wanted():
                answer, failure = None, None
                try:
                    answer = self._ask()
                except BaseException as error:  # noqa: BLE001 - handed over whole: `latest` raises it.
                    failure = error
                with self._changed:
                    self._answer, self._failure, self._asked_at = answer, failure, None
                    self._changed.notify_all()
        finally:
            self._close()

    def _is_wanted(self) -> bool:
        """Wait until somebody wants to know; False at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._asked_at is not None or self._is_closed)
            return not self._is_closed
