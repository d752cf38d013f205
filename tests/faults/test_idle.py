"""An engine that has nothing to do, or has to connect again and again, takes no more for it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import pytest

from tests.faults.lines import Lines
from tests.pairs.process import stop

pytestmark = pytest.mark.servers

ROOT = Path(__file__).parents[2]
WARM_POLLS, POLLS = 3_000, 10_000
GROWTH_BYTES = 4 * 2**20
RECONNECTS = int(os.environ.get("WARP_TEST_RECONNECTS", "8"))
_SESSIONS = """
select count(*) from pg_stat_activity where datname = current_database() and application_name = 'cartridge-warp'
"""


@dataclass(frozen=True, slots=True)
class Held:
    """What a process holds here and at the servers."""

    descriptors: int
    threads: int
    cursors: int
    sessions: int


# SPEC: C3  FAULTS: 28
def test_a_day_without_changes_and_many_lost_connections(lines: Lines) -> None:
    """As many polls as a quiet stream makes in hours; then every connection is lost, time and again."""
    stage = lines.stage
    stage.machine().fill(100)
    with _engine(lines) as process:
        stage.arrives()
        _polls(lines, WARM_POLLS)
        held, size = _held(lines, process), process.memory_info().rss
        _polls(lines, POLLS)
        stage.eventually(lambda: [its for its in [_held(lines, process)] if its != held])
        assert process.memory_info().rss < size + GROWTH_BYTES
        for number in range(RECONNECTS):
            lines.source.cut()
            lines.destination.cut()
            stage.database["users"].insert_one({"_id": f"after {number}", "n": number})
            stage.arrives()
            if number == RECONNECTS // 2:
                size = process.memory_info().rss
        stage.inject(f"all connections lost {RECONNECTS} times")
        # The server itself forgets the cursors of lines that are lost, after some minutes.
        held = replace(held, cursors=0)
        stage.eventually(lambda: [its for its in [replace(_held(lines, process), cursors=0)] if its != held])
        assert process.memory_info().rss < size + 2 * GROWTH_BYTES
    stage.judge()


@contextmanager
def _engine(lines: Lines) -> Iterator[psutil.Process]:
    command = lines.stage.command
    environment = {**os.environ, "CARTRIDGE_WARP_CONFIG": str(command.path)}
    arguments = [sys.executable, "-m", "tests.faults.idle_engine", lines.stage.schema]
    with (command.path.parent / "log").open("ab") as log:
        process = subprocess.Popen(arguments, env=environment, cwd=ROOT, stdout=log, stderr=log)
    try:
        yield psutil.Process(process.pid)
        assert stop(process) == 0
    finally:
        process.kill()
        process.wait()


def _polls(lines: Lines, count: int) -> None:
    """Wait until the source was asked so many times more."""
    admin = lines.stage.client.admin
    until = admin.command("serverStatus")["opcounters"]["getmore"] + count
    lines.stage.eventually(lambda: admin.command("serverStatus")["opcounters"]["getmore"] >= until, 100)


def _held(lines: Lines, process: psutil.Process) -> Held:
    cursors = lines.stage.client.admin.command("serverStatus")["metrics"]["cursor"]["open"]["total"]
    [sessions] = lines.stage.query(_SESSIONS + "and %s::text is not null")
    return Held(process.num_fds(), process.num_threads(), int(cursors), sessions)
