"""Ends a process in time: gracefully, or else where no answer comes from a server (M6)."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable

GRACE_SECONDS = 8.5
"""Of the ten that a stop may take."""


def stop_on_signals(request_stop: Callable[[], None], *, ignore_interrupt: bool = False, code: int = 0) -> None:
    """Let SIGTERM and SIGINT ask for a stop, and end the process if it is still there after the grace.

    Ending it in the middle of a transaction is safe: the server rolls it back and the marker stays true.
    ``ignore_interrupt`` is for a child, whose parent gets the Ctrl-C of the terminal too. ``code`` is what the
    process ends with after the grace: not 0 where work that has an end was broken off.
    """

    def handle(number: int, frame: object) -> None:
        request_stop()
        timer = threading.Timer(GRACE_SECONDS, os._exit, (code,))
        timer.daemon = True
        timer.start()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, signal.SIG_IGN if ignore_interrupt else handle)
