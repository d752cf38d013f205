"""Columns as BigQuery's Arrow has them become columns of the declared types."""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pytest
from google.cloud.bigquery import SchemaField

from warp_resources.connectors.bigquery.decode import TypesDiffer, decoded
from warp_resources.connectors.bigquery.storage import RowStream
from warp_resources.connectors.interfaces import ReadLimits
from warp_resources.model.batches import TableBatch
from warp_resources.model.tables import TableId

USERS = TableId("shop", "users")


def batch(field: SchemaField, values: pa.Array) -> TableBatch:
    ids = pa.array(range(len(values)), pa.int64())
    rows = pa.record_batch({"id": ids, field.name: values})
    return decoded(USERS, ("id",), (SchemaField("id", "INTEGER"), field), rows)


def carried(field: SchemaField, values: pa.Array) -> list[object]:
    found: list[object] = batch(field, values).columns[1].variants[0].values.to_pylist()
    return found


NUMBERS = [Decimal("1.100000000"), Decimal("-100"), Decimal("0"), Decimal("0.000000001"), None]
LONG = Decimal("12345678901234567890123456789012345678.00000000000000000000000000000000000001")


# SPEC: E9
def test_decimals_have_no_zeros_at_their_ends() -> None:
    field = SchemaField("n", "NUMERIC")
    assert carried(field, pa.array(NUMBERS, pa.decimal128(38, 9))) == ["1.1", "-100", "0", "0.000000001", None]
    assert carried(SchemaField("n", "BIGNUMERIC"), pa.array([LONG, Decimal("1e-38")], pa.decimal256(76, 38))) == [
        str(LONG),
        f"0.{'0' * 37}1",
    ]


@pytest.mark.parametrize("its", [pa.decimal128(10, 2), pa.decimal128(38, 9)])
def test_decimals_of_a_declared_scale_keep_it(its: pa.DataType) -> None:
    field = SchemaField("n", "NUMERIC", precision=10, scale=2)
    found = batch(field, pa.array([Decimal("2.5"), Decimal("0"), None], its)).columns[1].variants[0]
    assert (str(found.type), found.values.to_pylist()) == ("numeric(10,2)", ["2.50", "0.00", None])


# SPEC: M5 E3
def test_rows_of_a_snapshot_from_before_a_widening_are_as_the_column_has_them_now() -> None:
    whole = pa.array([1, -(2**63), None], pa.int64())
    assert carried(SchemaField("n", "NUMERIC"), whole) == ["1", str(-(2**63)), None]
    assert carried(SchemaField("n", "NUMERIC", precision=24, scale=2), whole) == ["1.00", f"{-(2**63)}.00", None]
    assert carried(SchemaField("n", "FLOAT"), pa.array([2**53 + 1, None])) == [2.0**53, None]
    short = pa.array([Decimal("99999999.99"), None], pa.decimal128(10, 2))
    assert carried(SchemaField("n", "NUMERIC", precision=14, scale=6), short) == ["99999999.990000", None]
    assert carried(SchemaField("n", "BIGNUMERIC"), short) == ["99999999.99", None]
    assert carried(SchemaField("n", "FLOAT"), pa.array([Decimal("0.1")], pa.decimal128(38, 9))) == [0.1]
    assert carried(SchemaField("n", "NUMERIC", "REPEATED"), pa.array([[5, -10]], pa.list_(pa.int64()))) == ["[5,-10]"]
    assert carried(SchemaField("n", "FLOAT", "REPEATED"), pa.array([[5]], pa.list_(pa.int64()))) == ["[5]"]


# SPEC: M5 E3
def test_decimals_that_are_declared_longer_than_they_were_keep_their_digits() -> None:
    field = SchemaField("n", "BIGNUMERIC", precision=60, scale=30)
    found = carried(field, pa.array([Decimal("12345678901.5")], pa.decimal128(38, 9)))
    assert found == [f"12345678901.5{'0' * 29}"]


# SPEC: M5 E3
@pytest.mark.parametrize(
    ("field", "values"),
    [
        (SchemaField("n", "INTEGER"), pa.array(["seven"])),
        (SchemaField("n", "FLOAT"), pa.array(["seven"])),
        (SchemaField("n", "NUMERIC"), pa.array(["seven"])),
        (SchemaField("n", "NUMERIC", precision=5, scale=2), pa.array([Decimal("0.123")], pa.decimal128(38, 9))),
        (SchemaField("n", "DATE"), pa.array([True])),
        (SchemaField("n", "STRING"), pa.array([7])),
        (SchemaField("n", "STRING", "REPEATED"), pa.array([7])),
        (SchemaField("n", "RECORD", fields=(SchemaField("a", "STRING"),)), pa.array([7])),
    ],
    ids=str,
)
def test_rows_of_other_types_than_declared_stop_their_table_alone(field: SchemaField, values: pa.Array) -> None:
    with pytest.raises(TypesDiffer, match="column 'n'"):
        batch(field, values)


def test_an_interval_of_the_service_is_text() -> None:
    values = pa.array([(14, 3, 0), None], pa.month_day_nano_interval())
    assert carried(SchemaField("i", "INTERVAL"), values) == ["1-2 3 0:0:0", None]


def test_a_negative_zero_in_json_is_told_of() -> None:
    # SPEC: E8
    field = SchemaField("j", "FLOAT", "REPEATED")
    found = batch(field, pa.array([[-0.0], [-0.5], [0.0]], pa.list_(pa.float64())))
    assert [(flaw.reason, flaw.column, flaw.key_text) for flaw in found.flaws] == [("negative_zero", "j", "0")]
    texts = batch(SchemaField("j", "JSON"), pa.array(['{"a":-0.0}', '{"a":"-0"}', '{"a":-1}']))
    assert [flaw.key_text for flaw in texts.flaws] == ["0"]


def test_a_column_that_the_snapshot_does_not_have_is_left_out() -> None:
    rows = pa.record_batch({"id": pa.array([1])})
    found = decoded(USERS, ("id",), (SchemaField("id", "INTEGER"), SchemaField("new", "STRING")), rows)
    assert [raw.name for raw in found.columns] == ["id"]


@pytest.mark.parametrize(
    ("limits", "sizes"),
    [
        (ReadLimits(4, 2**20), [4, 4, 2]),
        (ReadLimits(None, 2**20), [10]),
        (ReadLimits(None, 1), [1] * 10),
        (ReadLimits(100, 24), [3, 3, 3, 1]),
    ],
)
def test_rows_are_taken_within_limits(limits: ReadLimits, sizes: list[int]) -> None:
    parts = [pa.record_batch({"id": pa.array(range(first, last))}) for first, last in ((0, 5), (5, 5), (5, 10))]
    rows = RowStream("s", 7, iter(parts))
    taken = []
    while (part := rows.take(limits)) is not None:
        taken.append(part)
    assert [part.num_rows for part in taken] == sizes
    assert [its for part in taken for its in part.column(0).to_pylist()] == [*range(10)]
    assert (rows.offset, rows.is_at_end()) == (17, True)
