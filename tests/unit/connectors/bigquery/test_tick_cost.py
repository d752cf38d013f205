"""No tick scans a large table: what a dry run says is checked before the query runs."""

from __future__ import annotations

import pytest

from warp_resources.connectors.bigquery.tick_cost import LookUpCost, TickCost
from warp_resources.errors import TableFailure
from warp_resources.model.tables import TableId

EVENTS = TableId("shop", "events")
GB = 10**9


def cost(query: int, table: int, limit: int | None = 10 * GB, *, is_upper_bound: bool = False) -> TickCost:
    return TickCost(EVENTS, "updated_at", query, table, limit, is_upper_bound)


@pytest.mark.parametrize(
    "its",
    [
        cost(9 * GB, 9 * GB),
        cost(10 * GB, 5000 * GB),
        cost(0, 0),
        cost(5000 * GB, 5000 * GB, None),
        cost(500 * GB, 500 * GB, is_upper_bound=True),
    ],
)
def test_a_tick_within_the_limit_runs(its: TickCost) -> None:
    its.demand()


def test_a_tick_that_scans_a_large_table_says_how_to_prune_it() -> None:
    # SPEC: M1
    with pytest.raises(TableFailure, match="nearly the whole table") as caught:
        cost(48 * GB, 50 * GB).demand()
    assert "Partition or cluster the table by updated_at" in str(caught.value)
    assert "max_tick_bytes" in str(caught.value)
    assert caught.value.facts["tick_bytes"] == 48 * GB


def test_a_tick_that_reads_much_of_a_larger_table_says_how_to_read_less() -> None:
    with pytest.raises(TableFailure, match="too much") as caught:
        cost(11 * GB, 500 * GB).demand()
    assert "lookback" in str(caught.value)


def test_the_service_is_told_of_the_limit_unless_clustering_may_keep_it() -> None:
    assert cost(1, 2).billing_limit == 10 * GB + 10 * 1024**2
    assert cost(1, 2, None).billing_limit is None
    assert cost(1, 2, is_upper_bound=True).billing_limit is None
    # Ten megabytes are billed for each of the tables that a view is of.
    assert TickCost(EVENTS, "at", 1, 0, 10 * GB, is_stored=False).billing_limit is None


def test_a_look_up_that_scans_a_large_table_says_how_to_prune_it() -> None:
    with pytest.raises(TableFailure, match="To look up rows by their keys would read nearly the whole table") as caught:
        LookUpCost(EVENTS, "id", 48 * GB, 50 * GB, 10 * GB).demand()
    assert "Cluster the table by id" in str(caught.value)
    LookUpCost(EVENTS, "id", 48 * GB, 50 * GB, 10 * GB, is_upper_bound=True).demand()
    with pytest.raises(TableFailure, match="keys of several columns"):
        LookUpCost(EVENTS, "id", 48 * GB, 50 * GB, 10 * GB, only=False).demand()
