"""A plan shows what a schema asks of a destination that limits or bills its work."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta

import pytest

from warp_resources import WarpConfig
from warp_resources.cli.planning import show_plan
from warp_resources.connectors.memory.destination import MemoryDestination
from warp_resources.connectors.memory.server import MemoryServer
from warp_resources.model.work import WorkEstimate, WorkLine, Workload


def test_a_plan_shows_the_daily_work_of_each_schema(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # SPEC: L3
    asked: list[Workload] = []

    def estimate(_: MemoryDestination, workload: Workload) -> WorkEstimate:
        asked.append(workload)
        size = workload.first_load_bytes
        return WorkEstimate((WorkLine("jobs", 2880, 100_000, "one per commit"), WorkLine("bytes", size, is_bytes=True)))

    monkeypatch.setattr(MemoryDestination, "estimate_work", estimate)
    name = uuid.uuid4().hex
    for table in ("users", "orders", "notes"):
        MemoryServer.named(name).put("shop", table, {"_id": 1, "text": "x" * 100})
    config = WarpConfig.model_validate(
        {
            "source": {"type": "memory", "server": name, "database": "shop"},
            "destination": {"type": "memory", "store": name, "min_interval": "30s"},
            "schemas": [{"name": "shop", "schedule": "0 */6 * * *", "tables": {"notes": {"mode": "batch"}}}],
        }
    )
    show_plan(config, [], ())
    shown = capsys.readouterr().out
    assert "shop, per day if every table changes all the time:" in shown
    assert "    jobs: 2,880 of 100,000 (one per commit)" in shown
    assert "    bytes: " in shown
    (load,) = asked
    assert (load.stream_tables, load.batch_tables, load.ticks_per_day) == (2, 1, 4)
    assert (load.min_interval, load.first_load_tables) == (timedelta(seconds=30), 3)
    assert load.table_bytes == load.first_load_bytes > 300
    show_plan(config, [], (), as_json=True)
    plans = json.loads(capsys.readouterr().out)
    assert [plan["schema_work_per_day"][0]["limit_per_day"] for plan in plans] == [100_000] * 3
