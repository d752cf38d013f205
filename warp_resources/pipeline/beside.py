"""Does small work again and again while a process is at its own: a thread, in nobody's way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from warp_resources.pipeline.correlation import in_context

_END_SECONDS = 2


@contextmanager
def repeating(name: str, work: Callable[[threading.Event], None], every: timedelta) -> Iterator[None]:
    """Within the block, the work is done at once, then each time that so long has passed since.

    Args:
        name: of the thread.
        work: gets the event that tells it to end; it raises nothing.
    """
    stopped = threading.Event()

    def repeat() -> None:
        while True:
            work(stopped)
            if stopped.wait(every.total_seconds()):
                return

    thread = threading.Thread(target=in_context(repeat), name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        # Only a server that does not answer takes longer; the thread then ends with the process.
        thread.join(timeout=_END_SECONDS)
