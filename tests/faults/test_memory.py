"""What an engine process weighs while a slow destination keeps large documents waiting: bytes are bounded, not rows."""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from psycopg import sql

from tests.faults.lines import Lines
from tests.faults.stage import Stage
from tests.pairs.process import stop

pytestmark = pytest.mark.servers

FEW, MANY, SLOW_SECONDS = 250, 1_500, 8.0
MAX_BYTES = 384_000_000
"""The default of ``performance.max_memory``."""
OVER_BYTES = 64 * 2**20
"""What one document of 16 MB, which cannot be divided, may take beyond the bound."""
_PEAK = re.compile(r"VmHWM:\s+(\d+) kB")


# SPEC: C3, M5  FAULTS: 28
def test_large_documents_into_a_slow_destination(lines: Lines) -> None:
    """In a first load and then from a backlog; documents of 100 KB, and of 16 MB among small ones."""
    stage = lines.stage
    users, rnd = stage.database["users"], random.Random(28)
    for start in range(0, FEW, 50):
        users.insert_many([_document(rnd, number) for number in range(start, start + 50)])
    large = (number % 50 == 7 for number in range(150))
    users.insert_many([_document(rnd, 1_000 + n, 16_000_000 if is_large else 200) for n, is_large in enumerate(large)])
    lines.delay(0.001)
    with stage.running() as process, _weighing(process.pid) as peaks:
        stage.eventually(lambda: _rows(stage, 0) == FEW + 150, 90)
        # A few rows a second, while all that is read ahead of them has time to be.
        lines.source.delay, lines.destination.delay = 0.0, 0.5
        stage.inject("0.5 s for each piece to the destination, under a backlog")
        users.update_many({}, {"$set": {"n": 1}})
        for start in range(0, MANY, 50):
            users.insert_many([_document(rnd, 2_000 + number, n=1) for number in range(start, start + 50)])
        time.sleep(SLOW_SECONDS)
        lines.destination.delay = 0.0
        stage.eventually(lambda: _rows(stage, 1) == FEW + 150 + MANY, 90)
        assert stop(process) == 0
    stage.judge()
    print(f"peaks: {[peak // 10**6 for peak in peaks.values()]} MB")
    assert max(peaks.values()) < MAX_BYTES + OVER_BYTES


def _rows(stage: Stage, n: int) -> int:
    with psycopg.connect(stage.warehouse) as connection:
        query = sql.SQL("select count(*) from {} where n = %s").format(sql.Identifier(stage.schema, "users"))
        try:
            [(count,)] = connection.execute(query, [n]).fetchall()
        except psycopg.errors.UndefinedTable:
            return 0
    return int(count)


def _document(rnd: random.Random, number: int, size: int = 100_000, n: int = 0) -> dict[str, Any]:
    return {"_id": f"{number:06d}", "n": n, "v": rnd.randbytes(100).hex() * (size // 200)}


@contextmanager
def _weighing(pid: int) -> Iterator[dict[int, int]]:
    """The most that a process and each of its children have weighed, as the system counts it."""
    peaks: dict[int, int] = {}
    stopped = threading.Event()

    def watch() -> None:
        while not stopped.wait(0.2):
            # A process may end at any moment.
            with suppress(psutil.Error, OSError):
                for its in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
                    found = _PEAK.search(Path(f"/proc/{its.pid}/status").read_text())
                    if found:
                        peaks[its.pid] = int(found[1]) * 1024

    thread = threading.Thread(target=watch, name="weighing", daemon=True)
    thread.start()
    try:
        yield peaks
    finally:
        stopped.set()
        thread.join()
