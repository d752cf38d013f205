"""The lines to both servers are cut, flap, fall silent without an end, and are slow."""

from __future__ import annotations

import time
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.faults.lines import Lines
from tests.faults.proxy import Proxy
from tests.faults.stage import Stage
from tests.pairs.process import stop

pytestmark = pytest.mark.servers

ROWS, OUTAGE_SECONDS = 4_000, 3.0


# SPEC: R3, M5, M6  FAULTS: 22
def test_both_lines_fail_in_every_way(lines: Lines) -> None:
    """Half-open within a first load; then cut, flapping and gone under a stream, which is to stop while
    nothing comes through."""
    stage, machine = lines.stage, lines.stage.machine(body_bytes=2_000)
    machine.fill(ROWS)
    lines.delay(0.01)
    with stage.running() as process:
        stage.eventually(lambda: 0 < _loaded(stage) < ROWS)
        # New lines are good: only who finds out that the old ones are dead goes on.
        lines.each(Proxy.freeze, "half-open within a first load")
        lines.delay(0.0)
        print(f"recovered: {stage.arrives():.1f} s")
        with machine.running(per_second=40):
            lines.each(Proxy.cut, "cut")
            _goes_on(lines)
            for _ in range(4):
                lines.each(Proxy.cut, "flapping")
                time.sleep(0.5)
            _goes_on(lines)
            lines.each(Proxy.fail, "gone")
            time.sleep(OUTAGE_SECONDS)
            lines.each(Proxy.heal, "back")
            _goes_on(lines)
            for line in lines.both:
                line.stalled = True
            stage.inject("SIGTERM while nothing comes through")
            assert stop(process) == 0
    lines.each(Proxy.heal, "back")
    stage.judge()


def _goes_on(lines: Lines) -> None:
    """Wait until what is inserted now is in the warehouse; how long that takes goes to the output."""
    began = time.monotonic()
    beacon = lines.stage.database["beacons"].insert_one({"at": began}).inserted_id
    lines.stage.eventually(lambda: str(beacon) in _beacons(lines.stage))
    print(f"recovered: {time.monotonic() - began:.1f} s after {lines.stage.injected[-1:]}")


def _beacons(stage: Stage) -> list[str]:
    return _asked(stage, "select _id from {}", "beacons")


def _loaded(stage: Stage) -> int:
    return sum(_asked(stage, "select count(*) from {}", "users"))


def _asked(stage: Stage, query: str, table: str) -> list[Any]:
    """The first column of a query of a table that may not be there yet."""
    with psycopg.connect(stage.warehouse) as connection:
        try:
            return [row[0] for row in connection.execute(sql.SQL(query).format(sql.Identifier(stage.schema, table)))]
        except psycopg.errors.UndefinedTable:
            return []
