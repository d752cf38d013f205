"""The process that is forked in time: each script is a young process of its own, as the command is."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks on Linux only")

BEGIN = """
import os, pickle, signal, sys, threading, time
os.environ["OPENBLAS_NUM_THREADS"] = "1"
from warp_resources.config import WarpConfig
from warp_resources.pipeline.engine import Unit
from warp_resources.pipeline.payload import Work, receive_work
from warp_resources.pipeline.spare import dismiss_spare, keep_spare, take_spare

config = WarpConfig.model_validate({
    "source": {"type": "memory", "connection_string": "memory://a", "database": "shop"},
    "destination": {"type": "memory", "connection_string": "memory://b"},
    "schemas": [{"name": "shop"}],
})
work = Work(Unit(config, "shop", "stream"), "run-1")

def serve(stdin):
    received = receive_work(stdin)
    print("worked on", received.unit, received.run_id, flush=True)
    return 7
"""

SCRIPTS = {
    "does its work, and what was buffered before it is written once": (
        """
sys.stdout.write("buffered ")
keep_spare(config, serve)
spare = take_spare(work)
assert spare.wait(10) == 7 and take_spare(work) is None
""",
        "buffered worked on shop (stream) run-1\n",
    ),
    "ends unused": ("keep_spare(config, serve); dismiss_spare(); assert take_spare(work) is None", ""),
    "is not waited for when it hears nothing": (
        """
from warp_resources.pipeline import spare as module
module._DISMISSAL_SECONDS = 0.05
def serve(stdin):
    time.sleep(60)
keep_spare(config, serve)
dismiss_spare()
""",
        "",
    ),
    "is not used when it is gone": (
        """
from warp_resources.pipeline import spare as module
keep_spare(config, serve)
os.kill(module._kept[0].pid, signal.SIGKILL)
os.waitid(os.P_PID, module._kept[0].pid, os.WEXITED | os.WNOWAIT)
assert take_spare(work) is None
""",
        "",
    ),
    "is not forked beside a thread": (
        """
done = threading.Event()
threading.Thread(target=done.wait).start()
keep_spare(config, serve)
assert take_spare(work) is None
done.set()
""",
        "",
    ),
    "can be killed at its work, and told apart from one that has ended": (
        """
import subprocess
def serve(stdin):
    time.sleep(60)
keep_spare(config, serve)
spare = take_spare(work)
try:
    spare.wait(0.05)
except subprocess.TimeoutExpired:
    print("still at it")
spare.kill()
assert spare.wait(10) == -signal.SIGKILL
""",
        "still at it\n",
    ),
    "tells of an unexpected end": (
        """
def serve(stdin):
    receive_work(stdin)
    raise RuntimeError("broken")
sys.stderr = sys.stdout
keep_spare(config, serve)
spare = take_spare(work)
assert spare.wait(10) == 1
print("seen")
""",
        "RuntimeError: broken\nseen\n",
    ),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_spare_process(name: str) -> None:
    script, said = SCRIPTS[name]
    done = subprocess.run([sys.executable, "-c", BEGIN + script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(said) if said else not done.stdout


def test_a_spare_process_ends_with_its_parent() -> None:
    script = """
from warp_resources.pipeline import spare as module
keep_spare(config, serve)
print(module._kept[0].pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", BEGIN + script], capture_output=True, text=True, timeout=60)
    pid = int(done.stdout)
    deadline = time.monotonic() + 10
    while _is_alive(pid):
        assert time.monotonic() < deadline, "the spare process outlived its parent"
        time.sleep(0.02)


def _is_alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
