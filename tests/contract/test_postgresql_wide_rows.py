"""Rows with more values than a page of PostgreSQL has room for are set aside; all others are written."""

from __future__ import annotations

import uuid
from bisect import bisect_right
from collections.abc import Iterator

import pyarrow as pa
import pytest

from tests.contract.postgresql_lab import USERS, Lab, opened
from warp_resources.arrow.types import arrow_type
from warp_resources.arrow.widths import row_widths
from warp_resources.model.batches import ConformedTable, Original, RawColumn, TableBatch, Variant
from warp_resources.model.tables import ColumnType, Kind
from warp_resources.pipeline.conform import conform

pytestmark = pytest.mark.servers

INT, DOUBLE = ColumnType(Kind.INT64), ColumnType(Kind.DOUBLE)


@pytest.fixture
def lab(warehouse: str) -> Iterator[Lab]:
    yield from opened(warehouse)


def raw(name: str, its: ColumnType, values: list[object]) -> RawColumn:
    return RawColumn(name, (Variant(its, pa.array(values, arrow_type(its))),))


def conformed(lab: Lab, keys: list[int], columns: list[RawColumn]) -> ConformedTable:
    """A batch of users by ``_id``, in the way that the pipeline takes it."""
    batch = TableBatch(
        table=USERS,
        key=("_id",),
        columns=(raw("_id", INT, list(keys)), *columns),
        row_count=len(keys),
        original=lambda row: Original(f"record {keys[row]}", "extended_json", f'{{"_id": {keys[row]}}}'),
    )
    known = lab.destination.table_schemas("shop").get("users")
    return conform(batch, known, stored_schema="shop", capabilities=lab.destination.capabilities)


def many(kind: ColumnType, count: int, value: object, rows: int, at: int) -> list[RawColumn]:
    """So many columns that only the row ``at`` has values in."""
    return [raw(f"f{n}", kind, [value if row == at else None for row in range(rows)]) for n in range(count)]


# SPEC: E7
def test_a_row_that_is_too_wide_for_known_columns_is_set_aside_and_its_neighbours_are_written(lab: Lab) -> None:
    fields = many(DOUBLE, 1100, 1.5, rows=1, at=0)
    lab.write(conformed(lab, [8], [raw("a", INT, [8]), *fields[:550]]))
    lab.write(conformed(lab, [9], fields[550:]))
    table = conformed(lab, [1, 2, 3], [raw("a", INT, [1, 2, 3]), *many(DOUBLE, 1100, 1.5, rows=3, at=1)])
    assert table.changes == ()
    lab.write(table)
    found = lab.connection.execute("select _id, a from shop.users where _id < 8 order by 1").fetchall()
    assert found == [(1, 1), (3, 3)]
    letters = lab.metadata("key_text, reason, column_name, record, status from @dead_letters")
    assert letters == [("2", "row_too_wide", None, "record 2", "pending")]
    assert lab.metadata("error_type, action, primary_key from @error_log") == [
        ("row_too_wide", "row set aside", '{"_id": 2}')
    ]


# What takes the most room for its kind: the longest value that stays inside the row, or a pointer.
WIDEST = [
    (Kind.BOOL, True),
    (Kind.INT16, 1),
    (Kind.INT32, 1),
    (Kind.INT64, 1),
    (Kind.FLOAT32, 1.5),
    (Kind.DOUBLE, 1.5),
    (Kind.DATE, 1),
    (Kind.TIME, 1),
    (Kind.TIMESTAMP_TZ, 1),
    (Kind.UUID, uuid.UUID(int=1).bytes),
    (Kind.TEXT, ""),
    (Kind.TEXT, "a" * 7),
    *((Kind.TEXT, "a" * length) for length in range(18, 26)),
    (Kind.TEXT, uuid.UUID(int=3**80).hex * 200),
    (Kind.BINARY, b"b" * 23),
    (Kind.JSON, "1"),
    (Kind.JSON, '{"a": 1}'),
    (Kind.JSON, '[1.5, 2.5, "abcdefgh"]'),
    (Kind.NUMERIC, "1"),
    (Kind.NUMERIC, "0.1"),
    (Kind.NUMERIC, "12345.00012"),
    (Kind.NUMERIC, "1E+30"),
    (Kind.NUMERIC, "1.5E-100"),
    (Kind.NUMERIC, "1234567890123456789.12345678901234567"),
]


@pytest.mark.parametrize(("kind", "value"), WIDEST, ids=lambda value: str(value)[:24])
def test_every_row_that_is_let_through_has_room(lab: Lab, kind: Kind, value: object) -> None:
    # SPEC: E9
    its = ColumnType(kind, unit="us" if kind is Kind.TIMESTAMP_TZ else None)
    limit = lab.destination.capabilities.max_row_bytes
    assert limit is not None
    values = pa.array([value], arrow_type(its))

    def width(count: int) -> int:
        key = (INT, pa.array([1], pa.int64()))
        found: int = row_widths([key, *[(its, values)] * count], count + 1, 1)[0].as_py()
        return found

    count = bisect_right(range(1_530), limit, key=width) - 1
    table = conformed(lab, [1], many(its, count, value, rows=1, at=0))
    assert table.dead_letters == ()
    lab.write(table)
    assert lab.destination.row_count(USERS) == 1
