"""Batch tables that are interrupted again and again: what is read twice, and what is told of it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from warp_resources import WarpConfig, WarpRunner
from warp_resources.connectors.memory.destination import MemoryDestination, MemoryOptions
from warp_resources.connectors.memory.server import MemoryServer
from warp_resources.connectors.memory.source import MemorySource
from warp_resources.errors import OperatorError, TransientError, WarpError
from warp_resources.model.tables import TableId

RETRIES = 2


class Crm:
    """A batch schema of two tables, of which every reading is noted and may be interrupted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        name = uuid.uuid4().hex
        for table in ("a", "b"):
            MemoryServer.named(name).put("crm", table, {"_id": 1})
        self.destination = MemoryDestination(MemoryOptions(store=name))
        self.config = WarpConfig.model_validate(
            {
                "source": {"type": "memory", "server": name},
                "destination": {"type": "memory", "store": name},
                "schemas": [{"name": "crm", "mode": "batch"}],
                "error_handling": {"max_retries": RETRIES, "backoff_factor": 1.0, "max_backoff_seconds": 1},
            }
        )
        self.read: list[str] = []
        self.is_interrupted: Callable[[str], bool] = lambda table: False
        self.failure: WarpError = TransientError("A lock was not granted in time")
        read_chunk = MemorySource.read_chunk

        def noted(source: MemorySource, scope: Any, table: str, *rest: Any) -> Any:
            self.read.append(table)
            if self.is_interrupted(table):
                raise self.failure
            return read_chunk(source, scope, table, *rest)

        monkeypatch.setattr(MemorySource, "read_chunk", noted)

    def run_once(self, *, full_resync: bool = False) -> None:
        WarpRunner(self.config).run_once(full_resync)

    def statuses(self, table: str) -> list[str]:
        runs = self.destination.store.contents.runs.values()
        return [run.status for run in runs if run.table == TableId("crm", table)]


@pytest.fixture
def crm(monkeypatch: pytest.MonkeyPatch) -> Crm:
    return Crm(monkeypatch)


def test_a_full_resync_that_is_interrupted_reads_no_finished_table_again(crm: Crm) -> None:
    # SPEC: M5 R3
    crm.run_once()
    crm.read.clear()
    crm.is_interrupted = lambda table: table == "b" and crm.read.count("b") <= RETRIES
    crm.run_once(full_resync=True)
    assert crm.read == ["a", *"b" * (RETRIES + 1)]
    assert crm.statuses("a") == crm.statuses("b") == ["success"] * 2


def test_a_table_that_is_interrupted_too_often_is_reported_as_failing(crm: Crm) -> None:
    # SPEC: R3 T3 T4
    crm.is_interrupted = lambda table: table == "b"
    with pytest.raises(TransientError):
        crm.run_once()
    errors = [logged.entry for logged in crm.destination.store.contents.errors]
    assert [(entry.table.name, entry.error_type, entry.severity) for entry in errors] == [
        ("b", "TransientError", "error")
    ]
    assert (crm.statuses("a"), crm.statuses("b")) == (["success"], ["failed"])
    crm.is_interrupted = lambda table: False
    crm.run_once()
    assert crm.statuses("b") == ["failed", "success"]


@pytest.mark.parametrize("failure", [TransientError("A lock"), OperatorError("No grant")], ids=["lock", "grant"])
def test_a_table_that_fails_starves_none_of_those_after_it(crm: Crm, failure: WarpError) -> None:
    # SPEC: M3 R3
    crm.failure, crm.is_interrupted = failure, lambda table: table == "a"
    with pytest.raises(type(failure)):
        crm.run_once()
    assert set(crm.statuses("a")) == {"failed"}
    assert set(crm.statuses("b")) == {"success"}
    crm.is_interrupted = lambda table: False
    crm.run_once()
    assert crm.statuses("a")[-1] == "success"
