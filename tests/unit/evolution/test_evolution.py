"""What a batch makes of a table's schema."""

from __future__ import annotations

import pyarrow as pa
import pytest

from warp_resources.arrow.types import arrow_type
from warp_resources.evolution.diff import diff
from warp_resources.evolution.plan import Plan, plan
from warp_resources.evolution.policy import Decision, decide
from warp_resources.model.batches import RawColumn, Variant
from warp_resources.model.capabilities import Capabilities
from warp_resources.model.tables import ChangeKind, Column, ColumnType, Kind, TableId, TableSchema

TARGET = Capabilities()
BOOL, INT32, INT64, DOUBLE, NUMERIC, TEXT, JSON = map(
    ColumnType, (Kind.BOOL, Kind.INT32, Kind.INT64, Kind.DOUBLE, Kind.NUMERIC, Kind.TEXT, Kind.JSON)
)
EXACT32, EXACT64 = ColumnType(Kind.INT32, exact=True), ColumnType(Kind.INT64, exact=True)
MILLIS = ColumnType(Kind.TIMESTAMP_TZ, unit="ms")
FAR = 2**63 - 1
BIG = 2**53 + 1


def raw(*brought: tuple[ColumnType, object], name: str = "x") -> RawColumn:
    """A column of one row per value, each value in its type's variant."""
    kinds = list(dict.fromkeys(column_type for column_type, _ in brought))
    return RawColumn(
        name,
        tuple(
            Variant(kind, pa.array([value if its == kind else None for its, value in brought], arrow_type(kind)))
            for kind in kinds
        ),
    )


def schema(*columns: Column) -> TableSchema:
    return TableSchema(TableId("s", "t"), "s", "t", columns, ("_id",), version=3)


def decided(known: ColumnType | None, *brought: tuple[ColumnType, object]) -> Decision:
    basis = schema() if known is None else schema(Column("x", "x", known))
    return decide(diff(basis, [raw(*brought)], TARGET)[0], TARGET)


# SPEC: E1, E2, E4
@pytest.mark.parametrize(
    ("brought", "made"),
    [
        ([(INT32, 1)], EXACT32),
        ([(INT64, 1)], EXACT64),
        ([(INT64, BIG)], INT64),
        ([(INT64, BIG), (DOUBLE, 0.5)], NUMERIC),
        ([(INT64, 2**53 - 1), (DOUBLE, 0.5)], DOUBLE),
        ([(INT32, 1), (TEXT, "1")], TEXT),
        ([(INT32, 1), (JSON, "{}"), (TEXT, "x")], JSON),
        ([(MILLIS, 0)], MILLIS),
        ([(MILLIS, FAR)], TEXT),
        ([(MILLIS, 0), (MILLIS, FAR)], TEXT),
        ([(INT32, None)], None),
        ([], None),
    ],
    ids=str,
)
def test_a_new_column(brought: list[tuple[ColumnType, object]], made: ColumnType | None) -> None:
    assert decided(None, *brought).type == made


# SPEC: E2, E3, E6
@pytest.mark.parametrize(
    ("known", "brought", "becomes"),
    [
        (EXACT32, [(INT64, 5)], EXACT64),
        (EXACT64, [(INT64, BIG)], INT64),
        (INT64, [(INT64, 5)], INT64),
        (EXACT64, [(DOUBLE, 0.5)], DOUBLE),
        (INT64, [(DOUBLE, 0.5)], NUMERIC),
        (EXACT64, [(DOUBLE, 0.5), (INT64, BIG)], NUMERIC),
        (DOUBLE, [(INT64, 5)], DOUBLE),
        (DOUBLE, [(INT64, BIG)], NUMERIC),
        (NUMERIC, [(DOUBLE, 0.5)], NUMERIC),
        (EXACT64, [(TEXT, "123")], EXACT64),
        (EXACT64, [(TEXT, str(BIG))], INT64),
        (EXACT64, [(TEXT, "0123")], TEXT),
        (EXACT64, [(TEXT, "123"), (DOUBLE, 0.5)], DOUBLE),
        (EXACT64, [(TEXT, "123"), (TEXT, "x")], TEXT),
        (BOOL, [(INT64, 2)], TEXT),
        (BOOL, [(TEXT, "true")], BOOL),
        (DOUBLE, [(TEXT, "3")], DOUBLE),
        (NUMERIC, [(TEXT, "1.10")], NUMERIC),
        (NUMERIC, [(TEXT, "1e+200000")], TEXT),
        (MILLIS, [(TEXT, "2024-01-01T00:00:00.000Z")], MILLIS),
        (MILLIS, [(TEXT, "+292278994-08-17T07:12:55.807Z")], TEXT),
        (MILLIS, [(MILLIS, FAR)], TEXT),
        (TEXT, [(INT64, 5), (MILLIS, 0)], TEXT),
        (EXACT64, [(JSON, "{}")], EXACT64),
        (EXACT64, [(JSON, "{}"), (TEXT, "x")], TEXT),
        (TEXT, [(JSON, "[]")], TEXT),
        (JSON, [(INT64, 5), (TEXT, "x"), (MILLIS, FAR)], JSON),
        (EXACT64, [], EXACT64),
    ],
    ids=str,
)
def test_an_established_column(
    known: ColumnType, brought: list[tuple[ColumnType, object]], becomes: ColumnType
) -> None:
    assert decided(known, *brought).type == becomes


def test_a_conversion_is_told() -> None:
    assert decided(EXACT64, (TEXT, "123")).converted == (TEXT,)
    assert decided(EXACT64, (TEXT, "x")).converted == ()
    assert decided(EXACT64, (TEXT, "x")).reason == "int64 meets text"


def planned(basis: TableSchema, *columns: RawColumn, target: Capabilities = TARGET) -> Plan:
    return plan(basis, [decide(column, target) for column in diff(basis, columns, target)], target)


def test_nothing_new_is_no_new_version() -> None:
    basis = schema(Column("x", "x", EXACT64))
    assert planned(basis, raw((INT64, 1)), raw((INT64, None), name="y")) == Plan(basis, ())


def test_a_new_table_is_one_change() -> None:
    basis = TableSchema(TableId("s", "t"), "s", "t", (), ("x",))
    outcome = planned(basis, raw((INT64, 1)), raw((TEXT, "a"), name="_warp_y"))
    assert [change.kind for change in outcome.changes] == [ChangeKind.CREATE_TABLE]
    assert outcome.schema.version == 1
    assert [(column.name, column.type) for column in outcome.schema.columns] == [("x", EXACT64), ("_warp_y", TEXT)]
    assert outcome.schema.columns[1].stored.startswith("warp_y_")


def test_changes_say_from_what_to_what_and_why() -> None:
    before = [Column("a", "a", EXACT64), Column("b", "b", EXACT64), Column("c", "c", INT64), Column("d", "d", JSON)]
    columns = [raw((INT64, BIG), name="a"), raw((TEXT, "x"), name="b"), raw((BOOL, True), name="e")]
    outcome = planned(schema(*before), *columns)
    found = [(change.kind, change.before, change.after and change.after.type) for change in outcome.changes]
    assert found == [
        (ChangeKind.ADD_COLUMN, None, BOOL),
        (ChangeKind.BOUNDS, before[0], INT64),
        (ChangeKind.ALTER_TYPE, before[1], TEXT),
    ]
    assert outcome.changes[2].reason == "int64 meets text"
    assert outcome.schema.version == 4
    assert [column.name for column in outcome.schema.columns] == ["a", "b", "c", "d", "e"]
