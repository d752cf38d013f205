"""Work that is handed to a child process."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

import pytest

from warp_resources.config import WarpConfig
from warp_resources.pipeline import payload
from warp_resources.pipeline.engine import Unit
from warp_resources.pipeline.payload import Work, start_child

CONFIG = WarpConfig.model_validate(
    {
        "source": {"type": "memory", "connection_string": "memory://a", "database": "shop"},
        "destination": {"type": "memory", "connection_string": "memory://b"},
        "schemas": [{"name": "shop"}],
    }
)


def test_a_child_that_was_killed_before_it_had_its_work_is_told_of_by_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever supervises many must not fall with one of them."""
    # SPEC: M3  FAULTS: 1
    start = subprocess.Popen

    def killed(*arguments: Any, **named: Any) -> subprocess.Popen[bytes]:
        child = start([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"], stdin=subprocess.PIPE)
        child.wait()
        return child

    monkeypatch.setattr(payload.subprocess, "Popen", killed)
    child = start_child("no.matter", Work(Unit(CONFIG, "shop", "stream"), "run-1"))
    assert child.poll() == -9
    assert child.stdin is not None
    child.stdin.close()


ORPHAN = """
import sys, threading, time
from warp_resources.pipeline import payload, stopping
stopping.GRACE_SECONDS = 0.3
stop = threading.Event()
payload.watch_parent(sys.stdin.buffer, stop)
print("ready", flush=True)
stop.wait()
print("stopping", flush=True)
time.sleep(60)
"""


def test_a_child_ends_in_time_also_where_its_parent_is_gone_and_a_server_does_not_answer() -> None:
    """Its lease, which it goes on to renew, is what the parent's successor waits for."""
    # SPEC: M6, T8  FAULTS: 1
    command = [sys.executable, "-c", ORPHAN]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        began = time.monotonic()
        child.stdin.close()
        assert child.stdout.readline() == b"stopping\n"
        assert child.wait(10) == payload.ORPHANED
        assert time.monotonic() - began < 10
