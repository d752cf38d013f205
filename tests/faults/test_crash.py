"""The process is killed at every named place, and what it leaves agrees with its marker."""

from __future__ import annotations

import pytest

from tests.faults.stage import Stage

pytestmark = pytest.mark.servers


# SPEC: T7  FAULTS: 1
@pytest.mark.parametrize("point", ["cut.read", "commit.locked", "commit.ready", "commit.done", "cut.written"])
def test_killed_around_a_commit(stage: Stage, point: str) -> None:
    machine = stage.machine()
    machine.fill(100)
    stage.command.once()
    machine.burst(60)
    stage.dies(f"{point}=kill")
    machine.burst(20)
    stage.judge()
