"""The checks of a table: rows on both sides, lag, dead letters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.dagster.configurations import Site
from warp_assets.inspection import Inspection
from warp_resources.connectors.memory.store import PENDING, StoredLetter
from warp_resources.model.batches import DeadLetter
from warp_resources.model.tables import TableId
from warp_resources.pipeline.lease import LeaseKeeper

USERS, ORDERS, VISITS = TableId("shop", "users"), TableId("shop", "orders"), TableId("crm", "visits")


@pytest.fixture
def site() -> Site:
    """A loaded stream table and a synced batch table."""
    made = Site(
        {"name": "shop"}, {"name": "crm", "mode": "batch", "schedule": "* * * * *"}, monitoring={"lag_warning": "1s"}
    )
    made.server.put("shop", "users", *({"_id": number} for number in range(10)))
    made.server.put("shop", "orders", *({"_id": number, "n": number} for number in range(5)))
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


def test_rows_match_finds_a_missing_row_and_a_ghost(streaming: Site) -> None:
    # SPEC: D4 R5
    with Inspection.opened(streaming.config, "shop") as inspection:
        assert inspection.rows_match(USERS).passed
        remove(streaming, USERS, 1)
        found = inspection.rows_match(USERS)
        assert (found.passed, found.is_severe) == (False, True)
        assert (found.figures["rows"], found.figures["matched"], found.figures["missing"]) == (10, 9, 1)
        assert found.figures["differing_keys"] == 'missing: {"_id": 0}'
        ghost(streaming, USERS, "1", "77")
        assert "1 missing, 0 different, 1 too many" in inspection.rows_match(USERS).text


def test_rows_match_finds_a_value_that_somebody_changed(streaming: Site) -> None:
    # SPEC: D4 R5
    spoil(streaming, ORDERS, n=99)
    with Inspection.opened(streaming.config, "shop") as inspection:
        found = inspection.rows_match(ORDERS)
    assert (found.passed, found.is_severe) == (False, True)
    assert "5 different" in found.text
    assert "verify --table shop.orders --repair" in found.text


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
    set_aside(streaming, "n", "0")
    set_aside(streaming, None, "1")
    with Inspection.opened(streaming.config, "shop") as inspection:
        found = inspection.rows_match(USERS)
        # Of row 0 a value is set aside, of row 1 the whole: only that is why a row may be missing.
        assert (found.passed, found.figures["missing"], found.figures["set_aside"]) == (False, 1, 1)
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


def test_what_is_new_where_nobody_streams_needs_a_stream(site: Site) -> None:
    # SPEC: D4 R5
    site.server.put("shop", "users", {"_id": 100})
    with Inspection.opened(site.config, "shop") as inspection:
        found = inspection.rows_match(USERS)
    assert (found.passed, found.is_severe) == (False, False)
    assert "nobody streams" in found.text


def ghost(site: Site, table: TableId, like: str, key: str) -> None:
    """A row that the source never had."""
    with site.destination.store.transaction() as draft:
        row = draft.table(table).rows[like]
        draft.table(table).rows[key] = replace(row, values={**row.values, "_id": int(key)})


def spoil(site: Site, table: TableId, **values: Any) -> None:
    """Change every row of a table, as nobody should."""
    with site.destination.store.transaction() as draft:
        rows = draft.table(table).rows
        for key, row in rows.items():
            rows[key] = replace(row, values={**row.values, **values})


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


def test_history_fails_once_the_log_is_too_short(streaming: Site) -> None:
    # SPEC: D4 R4
    with Inspection.opened(streaming.config, "shop") as inspection:
        assert inspection.history(USERS).passed, "a young log has lost nothing"
        streaming.server.trim_log()
        found = inspection.history(USERS)
        assert (found.passed, found.is_severe) == (False, True)
        assert "less than an hour. Trim the server's log later." in found.text
        assert found.figures == {"log_window_seconds": 0.0}
        assert inspection.lag(USERS).passed, "one is not the other"
