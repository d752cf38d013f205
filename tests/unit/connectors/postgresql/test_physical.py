"""What PostgreSQL's tables hold of a column while it is being rewritten."""

from __future__ import annotations

import pyarrow as pa
import pytest

from warp_resources.arrow.types import arrow_type
from warp_resources.connectors.postgresql.physical import is_former, physical_rows, physical_schema, value_of
from warp_resources.model.tables import Column, ColumnType, Former, Kind, Rewrite, TableId, TableSchema

MS = ColumnType(Kind.TIMESTAMP_TZ, unit="ms")


def schema(after: ColumnType, *formers: ColumnType) -> TableSchema:
    held = tuple(Former(f"f{number}", its) for number, its in enumerate(formers))
    column = Column("v", "v", after, rewrite=Rewrite("new", held) if held else None)
    return TableSchema(TableId("s", "t"), "s", "t", (Column("k", "k", ColumnType(Kind.INT64)), column), ("k",), 2)


def rows(its: TableSchema, values: list[object]) -> pa.RecordBatch:
    count = pa.array(range(len(values)), pa.int64())
    return pa.RecordBatch.from_arrays([count, pa.array(values, arrow_type(its.columns[1].type))], names=["k", "v"])


def test_nothing_is_copied_where_nothing_is_rewritten() -> None:
    its = schema(ColumnType(Kind.TEXT))
    batch = rows(its, ["a"])
    assert physical_schema(its) is its
    assert physical_rows(its, batch) is batch


@pytest.mark.parametrize(
    ("after", "former", "values", "fitting"),
    [
        (ColumnType(Kind.TEXT), ColumnType(Kind.INT64), ["12", "007", "x", "1.0", None], [12, None, None, None, None]),
        (ColumnType(Kind.TEXT), ColumnType(Kind.BOOL), ["true", "True", None], [True, None, None]),
        (ColumnType(Kind.TEXT), ColumnType(Kind.NUMERIC), ["1.10", "-0", "9" * 140_000], ["1.10", None, None]),
        (ColumnType(Kind.DOUBLE), ColumnType(Kind.INT32), [3.0, 3.5, 1e300, float("nan")], [3, None, None, None]),
        (ColumnType(Kind.JSON), ColumnType(Kind.INT64), ["12", '"12"', '"x"', "[1]"], [12, None, None, None]),
        (ColumnType(Kind.JSON), ColumnType(Kind.TEXT), ['"x"', "1"], [None, None]),
        (ColumnType(Kind.NUMERIC), ColumnType(Kind.DOUBLE), ["0.5", "0.50", "1" * 40], [0.5, None, None]),
    ],
)
def test_a_former_column_has_what_fits_it_exactly(
    after: ColumnType, former: ColumnType, values: list[object], fitting: list[object]
) -> None:
    # SPEC: E8
    its = schema(after, former)
    found = physical_rows(its, rows(its, values))
    assert found.schema.names == ["k", "new", "f0"]
    assert found.column("new").type == arrow_type(after)
    assert found.column("f0").to_pylist() == fitting


def test_times_that_the_server_cannot_hold_are_in_the_text_only() -> None:
    its = schema(ColumnType(Kind.TEXT), MS)
    found = physical_rows(its, rows(its, ["1970-01-01T00:00:00.001Z", "+300000-01-01T00:00:00.000Z"]))
    assert found.column("f0").cast(pa.int64()).to_pylist() == [1, None]


def test_every_stored_column_is_one_of_the_schema() -> None:
    its = physical_schema(schema(ColumnType(Kind.TEXT), ColumnType(Kind.NUMERIC), ColumnType(Kind.INT64)))
    assert [(column.stored, str(column.type)) for column in its.columns] == [
        ("k", "int64"),
        ("new", "text"),
        ("f0", "numeric"),
        ("f1", "int64"),
    ]
    assert [is_former(column) for column in its.columns] == [False, False, True, True]


def test_a_value_is_wherever_it_was_put_last() -> None:
    column = schema(ColumnType(Kind.TEXT), ColumnType(Kind.NUMERIC), ColumnType(Kind.INT64)).columns[1]
    text = value_of(column).as_string()
    assert text == 'coalesce(t."new", pg_temp.warp_numeric_text(t."f0"), t."f1"::text)'
