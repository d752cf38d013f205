"""Commits that BigQuery needs in several steps: many tables, changes that are refused, runs that are put away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.contract.conformed import batch, changed, creation, first_schema, moved, part
from tests.fixtures.servers import BigQueryProject
from warp_resources.connectors.bigquery.commit import Part, grouped
from warp_resources.connectors.bigquery.control import read_control
from warp_resources.connectors.bigquery.destination import BigQueryDestination
from warp_resources.connectors.bigquery.options import BigQueryDestinationOptions
from warp_resources.connectors.bigquery.runs import archive
from warp_resources.errors import TableFailure, TransientError
from warp_resources.failpoints import arm
from warp_resources.model.batches import ConformedTable
from warp_resources.model.letters import ErrorSelection
from warp_resources.model.positions import KeyRange, StreamState
from warp_resources.model.tables import ChangeKind, Column, ColumnType, Kind, SchemaChange, TableId

SCHEMA = "shop"
TABLES = [TableId(SCHEMA, name) for name in ("items", "orders", "users")]
SIZE = Column("size", "size", ColumnType(Kind.DOUBLE))


@pytest.fixture
def destination(bigquery: BigQueryProject, tmp_path: Path) -> Iterator[BigQueryDestination]:
    options = BigQueryDestinationOptions(**bigquery.endpoints, state_file=str(tmp_path / "state.sqlite"))
    made = BigQueryDestination(options)
    made._warehouse = replace(made._warehouse, most_tables=2)
    made.prepare()
    yield made
    arm(None)
    made.close()


def begun(destination: BigQueryDestination, size: float) -> StreamState:
    """A stream whose first table has one row, with a double."""
    state = destination.start_stream(SCHEMA, {"at": 1})
    state = replace(state, sequence=destination.admit(moved(SCHEMA, state), TABLES[:1], []))
    made = part(first_schema(TABLES[0], SIZE), [{"id": 1, "size": size}], changes=creation())
    receipt = destination.write(batch(moved(SCHEMA, state), made))
    return replace(state, sequence=receipt.stream_sequence or 0)


@pytest.mark.servers
def test_a_crash_between_two_transactions_of_a_cut_leaves_its_marker(destination: BigQueryDestination) -> None:
    # SPEC: T7 FAULTS: 1
    state = destination.start_stream(SCHEMA, {"at": 1})
    state = replace(state, sequence=destination.admit(moved(SCHEMA, state), TABLES, []))
    rows = [{"id": 1, "name": "a"}]
    parts = [part(first_schema(table), rows, changes=creation()) for table in TABLES]
    arm("commit.part=error")
    with pytest.raises(TransientError):
        destination.write(batch(moved(SCHEMA, state, {"at": 2}), *parts))
    found = destination.stream_state(SCHEMA)
    assert found is not None
    assert (found.position, found.sequence, found.epoch) == ({"at": 1}, state.sequence, state.epoch)
    assert [destination.row_count(table) for table in TABLES] == [1, 1, 0]

    arm(None)
    again = [part(first_schema(table), rows) for table in TABLES]
    receipt = destination.write(batch(moved(SCHEMA, state, {"at": 2}), *again))
    found = destination.stream_state(SCHEMA)
    assert found is not None
    assert (found.position, found.sequence) == ({"at": 2}, receipt.stream_sequence)
    assert [destination.row_count(table) for table in TABLES] == [1, 1, 1]
    assert sorted(receipt.tables) == TABLES


def test_parts_are_grouped_by_number_and_by_the_length_of_their_statements() -> None:
    # SPEC: T7
    narrow = [Part(number, part(first_schema(TABLES[0])), ()) for number in range(5)]
    assert [len(group) for group in grouped(narrow, 2)] == [2, 2, 1]
    assert grouped([], 2) == [[]]
    columns = [Column(f"c{at}", "c" * 250 + str(at), ColumnType(Kind.TEXT)) for at in range(200)]
    wide = [Part(number, part(first_schema(TABLES[0], *columns)), ()) for number in range(3)]
    assert [len(group) for group in grouped(wide, 90)] == [1, 1, 1]


@pytest.mark.servers
def test_a_change_that_is_refused_is_taken_back_and_another_one_made(destination: BigQueryDestination) -> None:
    # SPEC: E3, E8, T7
    table, schema = TABLES[0], first_schema(TABLES[0], SIZE)
    state = begun(destination, 1e300)

    def altered(kind: Kind) -> ConformedTable:
        change = SchemaChange(ChangeKind.ALTER_TYPE, after=replace(SIZE, type=ColumnType(kind)), before=SIZE)
        value = "2" if kind is Kind.NUMERIC else "x"
        return part(changed(schema, change), [{"id": 2, "size": value}], changes=(change,))

    for _ in range(2):
        with pytest.raises(TableFailure):
            destination.write(batch(moved(SCHEMA, state), altered(Kind.NUMERIC)))
    assert destination.table_schemas(SCHEMA) == {table.name: schema}
    destination.write(batch(moved(SCHEMA, state), altered(Kind.TEXT)))
    shown = destination.preview(table, 10).to_pylist()
    assert sorted((row["id"], row["size"]) for row in shown) == [("1", "1e+300"), ("2", "x")]


@pytest.mark.servers
def test_ended_runs_of_a_table_with_a_quote_in_its_name_are_archived(destination: BigQueryDestination) -> None:
    # SPEC: T3, Z4
    table = TableId(SCHEMA, 'it\'s \\ "x"; --')
    destination.record_run("old", table, "batch", "running")
    destination.record_run("old", table, "batch", "success")
    rows = read_control(destination._session, "cartridge_warp_metadata", SCHEMA)
    [run] = rows.runs.values()
    statement = archive(destination._warehouse, [run])
    destination._session.run(statement)
    found = destination._session.run("select table_name from cartridge_warp_metadata.sync_runs where run_id = 'old'")
    assert [row[0] for row in found] == [table.name] * 2


@pytest.mark.servers
def test_slices_are_shown_as_markers_and_by_themselves(destination: BigQueryDestination) -> None:
    # SPEC: T1, T9
    table = TABLES[0]
    state = destination.start_stream(SCHEMA, {"at": 1})
    destination.admit(moved(SCHEMA, state), [table], [])
    destination.save_plan(table, [KeyRange(None, "5"), KeyRange("5", None)])
    destination.open_generation(table, "first")
    destination.seize_slice(table, "first", "slice-01")
    rows = destination._session.run(
        "select table_name, slice, epoch from cartridge_warp_metadata.sync_markers where marker_type = 'snapshot'"
        " order by slice"
    )
    assert [tuple(row) for row in rows] == [(table.name, "slice-00", 0), (table.name, "slice-01", 1)]
    rows = destination._session.run(
        "select generation, slice, lower_bound, upper_bound, is_done from cartridge_warp_metadata.slices order by slice"
    )
    assert [tuple(row) for row in rows] == [
        ("first", "slice-00", None, "5", False),
        ("first", "slice-01", "5", None, False),
    ]


@pytest.mark.servers
def test_what_a_change_altered_is_told_after_a_crash_behind_it(destination: BigQueryDestination) -> None:
    # SPEC: E8, T4, T7  FAULTS: 1
    schema = first_schema(TABLES[0], SIZE)
    state = begun(destination, -0.0)
    change = SchemaChange(ChangeKind.ALTER_TYPE, after=replace(SIZE, type=ColumnType(Kind.NUMERIC)), before=SIZE)
    altered = part(changed(schema, change), [{"id": 2, "size": "2.5"}], changes=(change,))
    arm("ddl.dropped=error")
    with pytest.raises(TransientError):
        destination.write(batch(moved(SCHEMA, state), altered))
    arm(None)
    destination.write(batch(moved(SCHEMA, state), altered))
    [zero] = [its.entry for its in destination.logged_errors(ErrorSelection(SCHEMA)) if its.entry.severity == "warning"]
    assert (zero.column, zero.primary_key) == ("size", '[{"id": 1}]')
