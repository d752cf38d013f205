"""Hands work to a child process and lets the child notice that its parent is gone."""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import BinaryIO

from warp_resources.pipeline.engine import Unit
from warp_resources.pipeline.stopping import begin_grace

ORPHANED = 1
"""Exit code of a child that its parent left behind in the middle of something."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a child is to do: the unit and the run that it belongs to.

    ``generation``: the reading that it is to help with; empty means all that engine processes take up.
    """

    unit: Unit
    run_id: str
    full_resync: bool = False
    generation: str = ""


def start_child(module: str, work: Work) -> subprocess.Popen[bytes]:
    """Start ``python -m module`` with the work on its standard input, which stays open.

    A module started by name needs no guard in the caller's main script, and a configuration
    passed this way shows in no process list.
    """
    child = subprocess.Popen([sys.executable, "-m", module], stdin=subprocess.PIPE)
    if child.stdin is None:
        raise AssertionError("the child was started with a pipe")
    try:
        pickle.dump(work, child.stdin)
        child.stdin.flush()
    except BrokenPipeError:
        # It is gone already: whoever watches it hears how it ended.
        with contextlib.suppress(BrokenPipeError):
            child.stdin.close()
    return child


def receive_work(stdin: BinaryIO) -> Work:
    """In the child: the work."""
    work = pickle.load(stdin)
    if not isinstance(work, Work):
        raise TypeError("standard input does not hold the work of an engine process")
    return work


def watch_parent(stdin: BinaryIO, stop: threading.Event) -> None:
    """In the child: ``stop`` is set when the parent ends, however it ends; then the child ends in time too.

    Whoever waited on for a server that does not answer would keep its lease from the parent's successor.
    """
    threading.Thread(target=_watch, args=(stdin, stop), name="parent-watch", daemon=True).start()


def _watch(stdin: BinaryIO, stop: threading.Event) -> None:
    # The pipe ends when the last holder of its other side, the parent, is gone. Read without the
    # buffer, whose lock would be held at the end of this process and abort it.
    try:
        while os.read(stdin.fileno(), 4096):
            pass
    finally:
        begin_grace(ORPHANED)
        stop.set()
