"""Ends a process in time: gracefully, or else where no answer comes from a server (M6)."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable

GRACE_SECONDS = 8.5
"""Of the ten that a stop may take."""

_STOPS = (signal.SIGTERM, signal.SIGINT)


def stop_on_signals(request_stop: Callable[[], None], *, ignore_interrupt: bool = False, code: int = 0) -> None:
    """Let SIGTERM and SIGINT ask for a stop, and end the process if it is still there after the grace.

    Ending it in the middle of a transaction is safe: the server rolls it back and the marker stays true.
    ``ignore_interrupt`` is for a child, whose parent gets the Ctrl-C of the terminal too. ``code`` is what the
    process ends with after the grace: not 0 where work that has an end was broken off.
    """
    # A thread hears of them, not the handler: that one runs within whatever the main thread is at, which may hold the
    # very lock that the asking needs, or wait in a library that lets no handler run until it is done.
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    threading.Thread(target=_end_in_time, args=(reading, request_stop, code), name="stop", daemon=True).start()
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    signal.signal(signal.SIGTERM, _handle)
    signal.signal(signal.SIGINT, signal.SIG_IGN if ignore_interrupt else _handle)


def _handle(number: int, frame: object) -> None:
    """Nothing: that there is a handler lets the pipe hear of the signal."""


def _end_in_time(reading: int, request_stop: Callable[[], None], code: int) -> None:
    while os.read(reading, 1)[0] not in _STOPS:
        pass
    # Began first: nothing that the asking does may use it up.
    begin_grace(code)
    request_stop()


def begin_grace(code: int) -> None:
    """From now on, this process has so long to end by itself; then it ends with the code."""
    threading.Thread(target=_end, args=(code,), name="grace", daemon=True).start()


def _end(code: int) -> None:
    time.sleep(GRACE_SECONDS)
    os._exit(code)
