"""A process that is asked to stop ends in time, whatever its main thread is at."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

SCRIPT = """
import ctypes, os, signal, threading
from warp_resources.pipeline import stopping
stopping.GRACE_SECONDS = 0.2
stop = threading.Event()
stopping.stop_on_signals({asked}, code=3)
print("ready", flush=True)
{at}
"""
LOCKED_TWICE = "mutex = ctypes.create_string_buffer(64); [ctypes.CDLL(None).pthread_mutex_lock(mutex) for _ in '12']"
ENDINGS = {
    "gracefully": ("stop.set", "stop.wait(); os._exit(0)", 0),
    # As within its wait, where a handler may come.
    "holding the lock of the event itself": ("stop.set", "with stop._cond: signal.pause(); stop.wait()", 3),
    "in a library that lets no handler run": ("stop.set", LOCKED_TWICE, 3),
    "asking for a stop takes for ever": ("threading.Event().wait", "stop.wait()", 3),
}


# SPEC: M6  FAULTS: 4
@pytest.mark.parametrize(("asked", "at", "code"), ENDINGS.values(), ids=ENDINGS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_it_ends(asked: str, at: str, code: int, number: signal.Signals) -> None:
    script = SCRIPT.format(asked=asked, at=at)
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        assert process.wait(10) == code
