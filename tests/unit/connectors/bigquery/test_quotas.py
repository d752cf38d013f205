"""What a day takes of BigQuery's limits."""

from __future__ import annotations

from datetime import timedelta

import pytest

from warp_resources.connectors.bigquery.quotas import LOADS_PER_PROJECT, estimated_work
from warp_resources.model.work import Workload

MEGABYTE = 2**20


def amounts(workload: Workload) -> dict[str, float]:
    return {line.what: line.per_day for line in estimated_work(workload).lines}


@pytest.mark.parametrize(
    ("workload", "loads", "scripts", "least"),
    [
        # Ten tables that change all the time, in one commit each half minute.
        (Workload("shop", 10, min_interval=timedelta(seconds=30)), 2880, 2880, 2880 * 21 * 10 * MEGABYTE),
        (Workload("shop", 1, min_interval=timedelta(0)), 21_600, 21_600, 21_600 * 3 * 10 * MEGABYTE),
        (Workload("shop", batch_tables=4, ticks_per_day=24), 96, 384, (384 + 96 * 2) * 10 * MEGABYTE),
        (Workload("shop"), 0, 0, 0),
    ],
)
def test_commits_are_counted_and_billed_by_the_tables_that_they_touch(
    workload: Workload, loads: float, scripts: float, least: float
) -> None:
    # SPEC: L3
    found = amounts(workload)
    assert (found["load jobs"], found["scripts"], found["bytes billed at least"]) == (loads, scripts, least)
    assert found["bytes billed at most"] == least
    assert found["load jobs"] * 4 < LOADS_PER_PROJECT


def test_a_first_load_has_lines_of_its_own_and_merges_may_read_whole_tables() -> None:
    workload = Workload(
        "shop",
        stream_tables=2,
        min_interval=timedelta(hours=1),
        first_load_tables=2,
        first_load_bytes=100 * MEGABYTE,
        chunk_bytes=8 * MEGABYTE,
        table_bytes=1000 * MEGABYTE,
    )
    found = amounts(workload)
    assert found["load jobs of the first load"] == 13
    assert found["bytes billed by the first load at least"] == (100 + 13 * 30) * MEGABYTE
    assert found["bytes billed at most"] - found["bytes billed at least"] == 24 * 1000 * MEGABYTE
