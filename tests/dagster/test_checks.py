"""The checks of a table: rows on both sides, lag, dead letters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.dagster.configurations import Site
from warp_assets.inspection import Inspection
from warp_resources.connectors.memory.store import PENDING, StoredLetter
from warp_resources.model.batches import DeadLetter
from warp_resources.model.tables import TableId
from warp_resources.pipeline.counts import Counts
from warp_resources.pipeline.lease import LeaseKeeper

USERS, VISITS = TableId("shop", "users"), TableId("crm", "visits")


@pytest.fixture
def site() -> Site:
    """A loaded stream table and a synced batch table."""
    made = Site(
        {"name": "shop"}, {"name": "crm", "mode": "batch", "schedule": "* * * * *"}, monitoring={"lag_warning": "1s"}
    )
    made.server.put("shop", "users", *({"_id": number} for number in range(10)))
    made.server.put("shop", "orders", *({"_id": number} for number in range(5)))
    made.server.put("crm", "visits", *({"_id": number, "updated_at": datetime.now(UTC)} for number in range(10)))
    made.sync()
    return made


@pytest.fixture
def streaming(site: Site) -> Iterator[Site]:
    """Somebody holds the stream, and is at its end."""
    leases = LeaseKeeper(site.destination.state_store, label="test")
    with leases.holding("stream:shop"):
        yield site
    leases.close()


def remove(site: Site, table: TableId, count: int) -> None:
    with site.destination.store.transaction() as draft:
        rows = draft.table(table).rows
        for key in list(rows)[:count]:
            del rows[key]


@pytest.mark.parametrize(
    ("counts", "is_equal", "has_all"),
    [
        (Counts(10, 10, 10, 0), True, True),
        (Counts(10, 9, 10, 0), False, False),
        (Counts(10, 9, 10, 1), True, True),
        (Counts(10, 11, 10, 0), False, True),
        # Rows that came or went while it was counted explain a count in between, and none outside.
        (Counts(10, 12, 15, 0), True, True),
        (Counts(15, 12, 10, 0), True, True),
        (Counts(10, 16, 15, 0), False, True),
        (Counts(0, 0, 0, 0), True, True),
    ],
)
def test_a_count_is_right_where_changes_explain_it(counts: Counts, is_equal: bool, has_all: bool) -> None:
    # SPEC: R5
    assert (counts.is_equal, counts.has_all) == (is_equal, has_all)


def test_rows_match_finds_a_missing_row_and_a_ghost(streaming: Site) -> None:
    # SPEC: D4 R5
    with Inspection.opened(streaming.config, "shop") as inspection:
        assert inspection.rows_match(USERS).passed
        remove(streaming, USERS, 1)
        found = inspection.rows_match(USERS)
        assert (found.passed, found.is_severe) == (False, True)
        assert found.figures == {"source": 10, "destination": 9, "set_aside_at_most": 0}
        streaming.server.put("shop", "users", {"_id": 100})
        assert not inspection.rows_match(USERS).passed


def test_of_a_batch_table_only_missing_rows_are_wrong(site: Site) -> None:
    # SPEC: D4
    with Inspection.opened(site.config, "crm") as inspection:
        site.server.delete("crm", "visits", 3)
        assert inspection.rows_match(VISITS).passed
        remove(site, VISITS, 2)
        assert not inspection.rows_match(VISITS).passed


def test_values_that_were_set_aside_excuse_no_missing_row(streaming: Site) -> None:
    # SPEC: D4 R5
    remove(streaming, USERS, 2)
    set_aside(streaming, "n", "1")
    set_aside(streaming, None, "2")
    with Inspection.opened(streaming.config, "shop") as inspection:
        found = inspection.rows_match(USERS)
        assert (found.passed, found.figures["set_aside_at_most"]) == (False, 1)
        assert "full resync" in found.text
        assert inspection.dead_letters(USERS).figures == {"pending": 2}


def test_missing_rows_that_are_under_way_need_no_resync(streaming: Site) -> None:
    # SPEC: D4 R5
    remove(streaming, USERS, 1)
    with streaming.destination.store.transaction() as draft:
        draft.table(USERS).state = replace(draft.table(USERS).state, is_loaded=False)
    with Inspection.opened(streaming.config, "shop") as inspection:
        found = inspection.rows_match(USERS)
    assert (found.passed, found.is_severe) == (False, False)
    assert "first load" in found.text


def test_missing_rows_where_nobody_streams_need_a_stream(site: Site) -> None:
    # SPEC: D4 R5
    remove(site, USERS, 1)
    with Inspection.opened(site.config, "shop") as inspection:
        found = inspection.rows_match(USERS)
    assert (found.passed, found.is_severe) == (False, False)
    assert "nobody streams" in found.text


def set_aside(site: Site, column: str | None, key: str) -> None:
    """A pending letter of a value, or of a whole row."""
    letter = DeadLetter(USERS, "{}", "write", "unlike_types", column, "{}", "extended_json", key)
    with site.destination.store.transaction() as draft:
        draft.letters.append(StoredLetter(letter, 1, PENDING, datetime.now(UTC)))


def test_lag_is_in_order_while_the_stream_keeps_up(streaming: Site) -> None:
    # SPEC: D4
    with Inspection.opened(streaming.config, "shop") as inspection:
        assert inspection.lag(USERS).passed
    streaming.server.put("shop", "users", {"_id": 100})
    with Inspection.opened(streaming.config, "shop") as inspection:
        found = inspection.lag(USERS)
        assert not found.passed
        assert "did not reach" in found.text


def test_lag_says_where_nobody_streams(site: Site) -> None:
    # SPEC: D4
    with Inspection.opened(site.config, "shop") as inspection:
        found = inspection.lag(USERS)
    assert not found.passed
    assert "Nobody streams" in found.text


@pytest.mark.parametrize(("age", "passed"), [(timedelta(seconds=30), True), (timedelta(hours=2), False)], ids=str)
def test_lag_of_a_batch_table_is_measured_against_its_schedule(site: Site, age: timedelta, passed: bool) -> None:
    # SPEC: D4
    with site.destination.store.transaction() as draft:
        for key, run in draft.runs.items():
            object.__setattr__(run, "finished_at", datetime.now(UTC) - age)
            draft.runs[key] = run
    with Inspection.opened(site.config, "crm") as inspection:
        assert inspection.lag(VISITS).passed is passed
        assert not inspection.lag(TableId("crm", "never")).passed


def test_a_window_that_was_loaded_again_does_not_make_a_table_new(site: Site) -> None:
    # SPEC: D4 D7
    with site.destination.store.transaction() as draft:
        for key, run in draft.runs.items():
            draft.runs[key] = replace(run, finished_at=datetime.now(UTC) - timedelta(hours=2))
    site.server.put("crm", "visits", {"_id": 3, "updated_at": datetime.now(UTC), "n": "changed"})
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    assert site.run_job("sync_crm", since=today).success
    assert site.rows("crm", "visits")[3]["n"] == "changed"
    with Inspection.opened(site.config, "crm") as inspection:
        assert not inspection.lag(VISITS).passed
    assert site.run_job("sync_crm").success
    with Inspection.opened(site.config, "crm") as inspection:
        assert inspection.lag(VISITS).passed


def test_a_pending_letter_is_found(site: Site) -> None:
    # SPEC: D4
    with Inspection.opened(site.config, "shop") as inspection:
        assert inspection.dead_letters(USERS).passed
        with site.destination.store.transaction() as draft:
            letter = DeadLetter(USERS, "{}", "write", "unlike_types", "n", "{}", "extended_json", "1")
            stored = StoredLetter(letter, 1, PENDING, datetime.now(UTC))
            draft.letters.append(stored)
        found = inspection.dead_letters(USERS)
    assert (found.passed, found.figures) == (False, {"pending": 1})
