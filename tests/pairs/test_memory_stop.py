"""A single pass that is stopped before its end says so, and the next one goes on."""

from __future__ import annotations

import uuid

import pytest

from warp_resources import WarpConfig, WarpRunner
from warp_resources.connectors.memory.destination import MemoryDestination, MemoryOptions
from warp_resources.connectors.memory.server import MemoryServer
from warp_resources.model.tables import TableId

ROWS = 20


@pytest.mark.parametrize(("mode", "row_of_run"), [("stream", ""), ("batch", "users")])
def test_a_pass_that_is_stopped_in_mid_load_is_no_success(mode: str, row_of_run: str) -> None:
    # SPEC: M6, L3, T3
    name = uuid.uuid4().hex
    MemoryServer.named(name).put("shop", "users", *({"_id": n} for n in range(ROWS)))
    destination = MemoryDestination(MemoryOptions(store=name))
    config = WarpConfig.model_validate(
        {
            "source": {"type": "memory", "server": name, "database": "shop"},
            "destination": {"type": "memory", "store": name},
            "schemas": [{"name": "shop", "mode": mode, "full_load_batch_size": 1}],
        }
    )
    stopped = WarpRunner(config)
    assert stopped.run_once(on_chunk=lambda chunk: stopped.stop()) is False
    assert 0 < len(destination.rows(TableId("shop", "users"))) < ROWS
    assert statuses(destination, row_of_run) == {"stopped"}
    assert WarpRunner(config).run_once() is True
    assert len(destination.rows(TableId("shop", "users"))) == ROWS
    assert statuses(destination, row_of_run) == {"stopped", "success"}


def test_a_pass_that_was_stopped_before_it_began_is_not_done() -> None:
    # SPEC: L3
    name = uuid.uuid4().hex
    config = WarpConfig.model_validate(
        {
            "source": {"type": "memory", "server": name, "database": "shop"},
            "destination": {"type": "memory", "store": name},
            "schemas": [{"name": "shop"}],
        }
    )
    runner = WarpRunner(config)
    runner.stop()
    assert runner.run_once() is False


def statuses(destination: MemoryDestination, table: str) -> set[str]:
    return {run.status for run in destination.store.contents.runs.values() if run.table.name == table}
