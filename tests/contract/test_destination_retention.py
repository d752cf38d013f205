"""What every destination owes for old metadata: it goes in portions, and what still matters stays."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

from tests.contract.conformed import batch, creation, first_schema, letter, moved, part
from tests.contract.laboratories import DestinationLab, PostgresDestinationLab
from warp_resources.connectors.interfaces import Destination
from warp_resources.model.batches import ErrorEntry
from warp_resources.model.positions import KeyRange
from warp_resources.model.retention import RetentionPeriods
from warp_resources.model.statistics import TableStatistics
from warp_resources.model.tables import TableId

SCHEMA = "shop"
USERS = TableId(SCHEMA, "users")
V1 = first_schema(USERS)
AT_ONCE, A_DAY = (RetentionPeriods(*[period] * 4) for period in (timedelta(0), timedelta(days=1)))
LOCK = 4_771_310_292_883


def filled(lab: DestinationLab) -> Destination:
    """Two runs, one of which goes on, a deleted row, a pending letter, a superseded one and three errors."""
    destination = lab.open()
    state = destination.start_stream(SCHEMA, {"at": 1})
    state = replace(state, sequence=destination.admit(moved(SCHEMA, state), [USERS], []))
    rows = [{"id": key, "name": "x"} for key in (1, 2, 3)]
    losses = [letter(USERS, key, "name") for key in (1, 2)]
    entries = tuple(ErrorEntry(USERS, "conversion", "lost", "set aside", "name") for _ in losses)
    first = replace(part(V1, rows, changes=creation(), letters=losses), errors=entries)
    sequence = destination.write(batch(moved(SCHEMA, state), first, run_id="goes on")).stream_sequence
    assert sequence is not None
    second = part(V1, [{"id": 2, "name": "y"}], [3])
    destination.write(batch(moved(SCHEMA, replace(state, sequence=sequence)), second, run_id="ended"))
    destination.record_run("ended", TableId(SCHEMA, ""), "stream", "success")
    destination.record_run("ended", USERS, "stream", "success")
    destination.record_errors([ErrorEntry(USERS, "history_lost", "lost", "read again", severity="error")], "ended")
    assert (lab.letter_statuses(USERS), lab.deletion_count(USERS)) == (["pending", "superseded"], 1)
    return destination


def figures(destination: Destination) -> list[TableStatistics]:
    return [replace(its, status=None, finished_at=None) for its in destination.statistics(SCHEMA) if its.table.name]


# SPEC: T3, T4, T5, T6
def test_old_metadata_goes_in_portions_and_what_matters_stays(lab: DestinationLab) -> None:
    destination = filled(lab)
    stream, tables, schemas = (
        destination.stream_state(SCHEMA),
        destination.table_states(SCHEMA),
        destination.table_schemas(SCHEMA),
    )
    counted = 0
    while removed := destination.remove_expired(AT_ONCE, 1):
        assert removed <= 4 or lab.pays_by_statement, "one row of each table"
        counted += removed
    assert counted == 3 + (0 if lab.pays_by_statement else 2) + 1 + 1
    assert (lab.error_types(USERS), lab.deletion_count(USERS)) == ([], 0)
    assert lab.letter_statuses(USERS) == ["pending"]
    assert lab.run("goes on")["status"] == "running"
    if not lab.pays_by_statement:
        with pytest.raises(ValueError, match="unpack"):
            lab.run("ended")
    assert destination.stream_state(SCHEMA) == stream
    assert (destination.table_states(SCHEMA), destination.table_schemas(SCHEMA)) == (tables, schemas)
    assert set(lab.rows(USERS)) == {1, 2}


# SPEC: T3, T4
def test_what_is_young_stays(lab: DestinationLab) -> None:
    destination = filled(lab)
    assert destination.remove_expired(A_DAY, 100) == 0
    assert len(lab.error_types(USERS)) == 3
    assert lab.run("goes on")["rows_written"] == 3


# SPEC: P2
def test_figures_go_on_counting_what_is_gone(lab: DestinationLab) -> None:
    destination = filled(lab)
    before = figures(destination)
    assert destination.remove_expired(AT_ONCE, 2) > 0
    assert figures(destination) == before
    assert (destination.remove_expired(AT_ONCE, 100) > 0) != lab.pays_by_statement
    assert figures(destination) == before
    [users] = before
    assert (users.rows_written, users.rows_deleted, users.conversion_warnings) == (4, 1, 2)
    assert users.errors == {"conversion": 2, "history_lost": 1}


# SPEC: T5, M5
def test_letters_stay_while_their_table_is_read(lab: DestinationLab) -> None:
    destination = filled(lab)
    destination.save_plan(USERS, [KeyRange()])
    destination.open_generation(USERS, "load-1")
    destination.remove_expired(AT_ONCE, 100)
    assert lab.letter_statuses(USERS) == ["pending", "superseded"]
    destination.abandon_generation(USERS, "load-1", "test")
    destination.remove_expired(AT_ONCE, 100)
    assert lab.letter_statuses(USERS) == ["pending"]


@pytest.mark.servers
def test_a_lost_race_is_harmless(warehouse: str) -> None:
    # SPEC: T4
    lab = PostgresDestinationLab(warehouse)
    destination = filled(lab)
    with psycopg.connect(warehouse) as other:
        other.execute("select pg_advisory_xact_lock(%s)", [LOCK])
        assert destination.remove_expired(AT_ONCE, 100) == 0
    with psycopg.connect(warehouse) as other:
        # As a commit holds a row: it is left alone, not waited for.
        other.execute("select from cartridge_warp_metadata.error_log order by error_id limit 1 for update")
        assert destination.remove_expired(AT_ONCE, 100) > 0
        assert lab.error_types(USERS) == ["conversion"]
    assert destination.remove_expired(AT_ONCE, 100) == 1
    lab.close()
