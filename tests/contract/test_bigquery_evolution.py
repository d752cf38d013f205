"""Tables in BigQuery come to their next version in steps that may be repeated after a crash between any two."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.contract.conformed import KEY, TEXT, changed, creation
from tests.fixtures.servers import BigQueryProject
from warp_resources.connectors.bigquery.control import Intent
from warp_resources.connectors.bigquery.evolving import apply_changes, can_be_withdrawn
from warp_resources.connectors.bigquery.layout import Layout, TableLayout
from warp_resources.connectors.bigquery.options import BigQueryDestinationOptions
from warp_resources.connectors.bigquery.session import Session
from warp_resources.connectors.bigquery.warehouse import make_dataset
from warp_resources.errors import TableFailure, TransientError
from warp_resources.failpoints import arm
from warp_resources.model.batches import ErrorEntry
from warp_resources.model.tables import ChangeKind, Column, ColumnType, Kind, SchemaChange, TableId, TableSchema

pytestmark = pytest.mark.servers

TABLE = TableId("shop", "orders")
POINTS = ("ddl.created", "ddl.filled", "ddl.swapped", "ddl.dropped")
OLD = Column("total", "total", ColumnType(Kind.INT64, exact=True))
RATE = Column("rate", "rate", ColumnType(Kind.DOUBLE))
ROWS = [(1, "1", "10", "1.5"), (2, "2", "null", "cast('-0' as float64)"), (3, "3", "9007199254740993", "null")]
STORED = "`shop`.`orders`"


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    arm(None)


@pytest.fixture
def session(bigquery: BigQueryProject) -> Iterator[Session]:
    opened = Session(BigQueryDestinationOptions(**bigquery.endpoints))
    yield opened
    opened.close()


class Kept:
    """A change that stays announced, with what it altered."""

    def __init__(self, errors: list[ErrorEntry] | None = None) -> None:
        self.errors = errors

    def demand(self) -> None:
        pass

    def keep(self, errors: list[ErrorEntry]) -> None:
        assert self.errors is not None, errors
        self.errors[:] = errors


NOTHING = Kept()


def first() -> TableSchema:
    return TableSchema(TABLE, "shop", "orders", (KEY, OLD, RATE), ("id",), version=1)


def made(session: Session, schema: TableSchema, layout: Layout | None = None) -> TableSchema:
    apply_changes(session, Intent(None, schema, creation(), ""), layout or Layout(), NOTHING)
    return schema


def filled(session: Session) -> TableSchema:
    schema = made(session, first())
    for key, text, total, rate in ROWS:
        session.run(
            f"insert into {STORED} (_warp_key, _warp_sequence, _warp_synced_at, id, total, rate)"
            f" values ('{text}', 1, current_timestamp(), {key}, {total}, {rate})"
        )
    return schema


def seen(session: Session, columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in session.run(f"select {columns} from {STORED} order by _warp_key")]


def columns_of(session: Session) -> dict[str, str]:
    found = session.table(f"{session.project}.shop.orders")
    assert found is not None
    return {field.name: field.field_type for field in found.schema}


def retyped(kind: Kind, column: Column = OLD, **bounds: Any) -> SchemaChange:
    return SchemaChange(ChangeKind.ALTER_TYPE, replace(column, type=ColumnType(kind, **bounds)), column)


NEW = Column("note", "note", TEXT)
CHANGES: dict[str, tuple[tuple[SchemaChange, ...], str, list[tuple[Any, ...]]]] = {
    "add": ((SchemaChange(ChangeKind.ADD_COLUMN, NEW),), "note", [(None,), (None,), (None,)]),
    "widen": ((retyped(Kind.NUMERIC),), "cast(total as int64)", [(10,), (None,), (9007199254740993,)]),
    "to text": ((retyped(Kind.TEXT),), "total", [("10",), (None,), ("9007199254740993",)]),
    "to json": ((retyped(Kind.JSON),), "to_json_string(total)", [("10",), ("null",), ("9007199254740993",)]),
    "double to text": ((retyped(Kind.TEXT, RATE),), "rate", [("1.5",), ("-0",), (None,)]),
    "double to numeric": ((retyped(Kind.NUMERIC, RATE),), "cast(rate as float64)", [(1.5,), (0.0,), (None,)]),
    "key": (
        (
            SchemaChange(ChangeKind.KEY_TO_JSON, Column("id", "id", TEXT, family="mixed"), KEY),
            retyped(Kind.TEXT),
        ),
        "id, total",
        [("1", "10"), ("2", None), ("3", "9007199254740993")],
    ),
    "flag": (
        (SchemaChange(ChangeKind.DELETION, Column("is_deleted", "is_deleted", ColumnType(Kind.BOOL))),),
        "is_deleted",
        [(False,), (False,), (False,)],
    ),
    "swap names": (
        (
            SchemaChange(ChangeKind.RENAME_COLUMN, replace(OLD, stored="rate"), OLD),
            SchemaChange(ChangeKind.RENAME_COLUMN, replace(RATE, stored="total"), RATE),
        ),
        "rate, cast(total as string)",
        [(10, "1.5"), (None, "-0"), (9007199254740993, None)],
    ),
}


def next_version(before: TableSchema, name: str) -> tuple[TableSchema, tuple[SchemaChange, ...]]:
    changes, _, _ = CHANGES[name]
    if name == "flag":
        return replace(before, flag="is_deleted", is_soft=True, version=2), changes
    return changed(before, *changes), changes


# SPEC: E2 E3 E4 E11 T7
@pytest.mark.parametrize("name", CHANGES)
def test_a_change_ends_alike_after_a_crash_at_each_point(session: Session, name: str) -> None:
    before = filled(session)
    after, changes = next_version(before, name)
    crashes = 0
    errors: list[ErrorEntry] = []
    arm(";".join(f"{point}=error" for point in POINTS))
    for _ in POINTS:
        try:
            apply_changes(session, Intent(before, after, changes, ""), Layout(), Kept(errors))
        except TransientError:
            crashes += 1
    arm(None)
    assert crashes
    apply_changes(session, Intent(before, after, changes, ""), Layout(), Kept(errors))
    expected = columns_of(session)
    _, columns, values = CHANGES[name]
    assert seen(session, columns) == values
    assert not [column for column in expected if column.startswith(("_warp_new", "_warp_old", "_warp_rename"))]
    apply_changes(session, Intent(before, after, changes, ""), Layout(), NOTHING)
    assert columns_of(session) == expected
    assert seen(session, columns) == values
    zeros = [entry for entry in errors if entry.error_type == "negative_zero"]
    assert [entry.primary_key for entry in zeros] == (['[{"id": 2}]'] if name == "double to numeric" else [])


# SPEC: E8
def test_values_that_do_not_fit_stop_the_change_and_stay(session: Session) -> None:
    before = filled(session)
    session.run(f"update {STORED} set rate = 1e-20 where id = 3")
    change = retyped(Kind.NUMERIC, RATE)
    for _ in range(2):
        with pytest.raises(TableFailure, match=r"do not fit.*values=1"):
            apply_changes(session, Intent(before, changed(before, change), (change,), ""), Layout(), NOTHING)
    assert seen(session, "rate")[2] == (1e-20,)


# SPEC: E3, E8
def test_json_becomes_its_text(session: Session) -> None:
    notes = replace(NEW, type=ColumnType(Kind.JSON))
    before = TableSchema(TABLE, "shop", "orders", (KEY, notes), ("id",), version=1)
    made(session, before)
    values = [
        "null",
        "json 'null'",
        """json '"a"'""",
        "json '1.50'",
        "json 'true'",
        """json '{"a": [1, null]}'""",
        "json '[]'",
    ]
    for number, value in enumerate(values):
        session.run(
            f"insert into {STORED} (_warp_key, _warp_sequence, _warp_synced_at, id, note)"
            f" values ('{number}', 1, current_timestamp(), {number}, {value})"
        )
    change = retyped(Kind.TEXT, notes)
    apply_changes(session, Intent(before, changed(before, change), (change,), ""), Layout(), NOTHING)
    assert seen(session, "note") == [(None,), ("null",), ("a",), ("1.5",), ("true",), ('{"a":[1,null]}',), ("[]",)]


# SPEC: E8 T7
def test_nothing_is_changed_where_one_of_many_changes_is_refused(session: Session) -> None:
    before = filled(session)
    session.run(f"update {STORED} set rate = 1e-20 where id = 3")
    swap, _, _ = CHANGES["swap names"]
    moved = replace(RATE, stored="total")
    unfit = SchemaChange(ChangeKind.ALTER_TYPE, replace(moved, type=ColumnType(Kind.NUMERIC)), RATE)
    intent = Intent(before, changed(before, swap[0], unfit), (swap[0], unfit), "", token="ab12cd")
    columns = columns_of(session)
    for _ in range(2):
        with pytest.raises(TableFailure, match=r"do not fit.*values=1"):
            apply_changes(session, intent, Layout(), NOTHING)
        assert can_be_withdrawn(session, intent, Layout())
        assert columns_of(session) == columns
    assert [row[:2] for row in seen(session, "total, rate")] == [(10, 1.5), (None, -0.0), (9007199254740993, 1e-20)]


# SPEC: E8 T7
def test_names_that_are_swapped_cannot_be_withdrawn(session: Session) -> None:
    before = filled(session)
    after, changes = next_version(before, "swap names")
    intent = Intent(before, after, changes, "", token="ab12cd")
    arm("ddl.swapped=error")
    with pytest.raises(TransientError):
        apply_changes(session, intent, Layout(), NOTHING)
    arm(None)
    assert not can_be_withdrawn(session, intent, Layout())


# SPEC: T7
def test_a_later_version_is_left_alone(session: Session) -> None:
    before = filled(session)
    second, third = retyped(Kind.TEXT), retyped(Kind.JSON, replace(OLD, type=TEXT))
    middle = changed(before, second)
    last = changed(middle, third)
    apply_changes(session, Intent(before, middle, (second,), ""), Layout(), NOTHING)
    apply_changes(session, Intent(middle, last, (third,), ""), Layout(), NOTHING)
    apply_changes(session, Intent(before, middle, (second,), ""), Layout(), NOTHING)
    assert columns_of(session)["total"] == "JSON"
    assert seen(session, "to_json_string(total)") == [('"10"',), ("null",), ('"9007199254740993"',)]


def test_an_empty_table_of_the_users_is_taken_over(session: Session) -> None:
    make_dataset(session, "shop")
    session.run(f"create table {STORED} (id int64, total string, own string not null)")
    made(session, first())
    assert columns_of(session)["total"] == "INTEGER"
    session.run(
        f"insert into {STORED} (_warp_key, _warp_sequence, _warp_synced_at, id) values ('1', 1, current_timestamp(), 1)"
    )
    session.run(f"alter table {STORED} add column note int64")
    change = SchemaChange(ChangeKind.ADD_COLUMN, NEW)
    apply_changes(session, Intent(first(), changed(first(), change), (change,), ""), Layout(), NOTHING)
    assert columns_of(session)["note"] == "STRING"


@pytest.mark.parametrize(
    ("column", "told"), [("id int64", "rows that cartridge-warp did not write"), ("total string", "of another type")]
)
def test_rows_of_the_users_are_not_touched(session: Session, column: str, told: str) -> None:
    make_dataset(session, "shop")
    own = ", _warp_key string, _warp_sequence int64" if "total" in column else ""
    session.run(f"create table {STORED} ({column}{own})")
    session.run(f"insert into {STORED} ({column.split()[0]}) values ({'1' if 'int64' in column else repr('x')})")
    with pytest.raises(TableFailure, match=told):
        apply_changes(session, Intent(None, first(), creation(), ""), Layout(), NOTHING)
    assert seen_count(session) == 1


def seen_count(session: Session) -> int:
    return int(session.run(f"select count(*) from {STORED}")[0][0])


def test_tables_are_partitioned_and_clustered_as_chosen(session: Session) -> None:
    at = Column("at", "at", ColumnType(Kind.TIMESTAMP_TZ, unit="ms"))
    schema = replace(first(), columns=(KEY, at, OLD))
    made(session, schema, Layout((("shop.*", TableLayout("at", "month", ("total", "id"))),)))
    found = session.table(f"{session.project}.shop.orders")
    assert found is not None
    assert found.time_partitioning is not None
    assert (found.time_partitioning.field, found.time_partitioning.type_) == ("at", "MONTH")
    assert found.clustering_fields == ["total", "id"]
    assert list(found.table_constraints.primary_key.columns) == ["id"]


@pytest.mark.parametrize(
    ("layout", "told"),
    [
        (TableLayout(partition_by="nowhere"), "does not begin with"),
        (TableLayout(partition_by="total"), "cannot be partitioned"),
        (TableLayout(cluster_by=("rate",)), "cannot be clustered"),
    ],
)
def test_a_layout_that_cannot_be_is_refused(session: Session, layout: TableLayout, told: str) -> None:
    with pytest.raises(TableFailure, match=told):
        made(session, first(), Layout((("shop.orders", layout),)))


def test_a_column_that_holds_the_table_together_keeps_its_type(session: Session) -> None:
    layout = Layout((("shop.orders", TableLayout(cluster_by=("total",))),))
    before = made(session, first(), layout)
    change = retyped(Kind.TEXT)
    with pytest.raises(TableFailure, match="clustered"):
        apply_changes(session, Intent(before, changed(before, change), (change,), ""), layout, NOTHING)
