"""Columns of a real PostgreSQL that become JSON, and fields that go to the overflow column."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from tests.contract.postgresql_lab import CREATE, USERS, Lab, column, conformed, opened, schema_of
from tests.contract.test_postgresql_evolution import STRINGS
from tests.type_tables.postgresql_types import TEXT_IDS, TEXTS
from warp_resources.arrow.coerce import coerce
from warp_resources.arrow.types import arrow_type
from warp_resources.model.batches import ConformedTable, RawColumn, TableBatch, Variant
from warp_resources.model.rules import TableRules
from warp_resources.model.tables import ChangeKind, Column, ColumnType, Kind, SchemaChange
from warp_resources.pipeline.conform import conform

pytestmark = pytest.mark.servers

INT32, INT64, TEXT, JSON = map(ColumnType, (Kind.INT32, Kind.INT64, Kind.TEXT, Kind.JSON))


@pytest.fixture
def lab(warehouse: str) -> Iterator[Lab]:
    yield from opened(warehouse)


def random_doubles(count: int) -> list[float]:
    rng = random.Random(7)
    return [struct.unpack("<d", rng.randbytes(8))[0] for _ in range(count)]


CASES = [(column_type, [value for value, _ in cases]) for column_type, cases in TEXTS]
CASES += [(TEXT, STRINGS), (ColumnType(Kind.DOUBLE), random_doubles(2_000))]


# SPEC: E6, E8
@pytest.mark.parametrize(("column_type", "values"), CASES, ids=[*TEXT_IDS, "text", "random doubles"])
def test_a_column_that_becomes_json_keeps_canonical_json(
    lab: Lab, column_type: ColumnType, values: list[object]
) -> None:
    before = Column("v", "v", column_type)
    schema = schema_of(column("_id", Kind.INT64), before)
    array = pa.array(values, arrow_type(column_type))
    lab.write(conformed(schema, {"_id": range(len(values)), "v": array}, changes=CREATE))
    after = schema_of(schema.columns[0], column("v", Kind.JSON))
    change = SchemaChange(ChangeKind.ALTER_TYPE, after=after.columns[1], before=before)
    # As the Python twin spells what arrives later, in the very same column.
    twin = coerce(array, column_type, JSON).values
    rows = {"_id": range(len(values), 2 * len(values)), "v": twin}
    lab.write(conformed(replace(after, version=2), rows, changes=(change,)))
    stored = lab.connection.execute("select v::text from shop.users order by _id").fetchall()
    texts = [row[0] for row in stored]
    assert texts[: len(values)] == texts[len(values) :]


def raw(name: str, its: ColumnType, values: list[Any]) -> RawColumn:
    return RawColumn(name, (Variant(its, pa.array(values, arrow_type(its))),))


def arrived(lab: Lab, keys: list[int], columns: list[RawColumn], rules: TableRules | None = None) -> ConformedTable:
    """A batch of users by ``_id``, in the way that the pipeline takes it."""
    batch = TableBatch(USERS, ("_id",), (raw("_id", INT64, keys), *columns), len(keys))
    return conform(
        batch,
        lab.destination.table_schemas("shop").get("users"),
        stored_schema="shop",
        capabilities=lab.destination.capabilities,
        rules=rules or TableRules(),
    )


def document(lab: Lab, key: int) -> dict[str, Any]:
    """The fields of a row by their source names, from columns and overflow, as JSON has them."""
    [(row, overflow)] = lab.connection.execute(
        "select to_jsonb(t) - '_warp_overflow', t._warp_overflow from shop.users as t where _id = %s", [key]
    ).fetchall()
    assert not (row.keys() & (overflow or {}).keys())
    fields = {name: value for name, value in row.items() if value is not None and not name.startswith("_")}
    return fields | (overflow or {})


# SPEC: E9; FAULTS: 15
@pytest.mark.parametrize("is_new", [True, False], ids=["new table", "known table"])
@pytest.mark.parametrize(
    ("its", "spell"), [(INT32, int), (INT64, int), (TEXT, "short {}".format)], ids=["int32", "int64", "text"]
)
def test_thousands_of_fields_land_whole_in_the_batch_that_brings_them(
    lab: Lab, is_new: bool, its: ColumnType, spell: Any
) -> None:
    if not is_new:
        lab.write(arrived(lab, [9], [raw("a", INT32, [9])]))
    first = {f"f{n}": spell(n) for n in range(2_000)}
    lab.write(arrived(lab, [1], [raw(name, its, [value]) for name, value in first.items()]))
    assert document(lab, 1) == first
    second = {f"g{n}": spell(n) for n in range(500)}
    lab.write(arrived(lab, [2], [raw(name, its, [value]) for name, value in second.items()]))
    assert document(lab, 2) == second
    # The same shape again changes nothing, and values that are as long as can be have room too.
    longest = {name: spell(10**6 + n) if its != TEXT else "x" * 100 for n, name in enumerate(first)}
    again = arrived(lab, [3], [raw(name, its, [value]) for name, value in longest.items()])
    assert again.changes == ()
    lab.write(again)
    assert document(lab, 3) == longest
    assert lab.metadata("count(*) from @dead_letters") == [(0,)]
    told = lab.metadata("column_name from @error_log where error_type = 'column_overflow'")
    overflowed = lab.destination.table_schemas("shop")["users"].overflowed
    assert sorted(name for (name,) in told) == sorted(overflowed)
    assert len(overflowed) > 900


# SPEC: E6
def test_a_scalar_column_becomes_json_by_contract(lab: Lab) -> None:
    lab.write(arrived(lab, [1, 2], [raw("x", ColumnType(Kind.DOUBLE), [-0.0, 1e21]), raw("y", TEXT, ["a", None])]))
    columns = [raw("x", JSON, ['{"a": 1.10}']), raw("y", INT64, [7])]
    lab.write(arrived(lab, [3], columns, TableRules(type_changes="json")))
    rows = lab.connection.execute("select x::text, y from shop.users order by _id").fetchall()
    assert rows == [("0", "a"), ("1000000000000000000000", None), ('{"a": 1.10}', "7")]
    assert lab.metadata("error_type, primary_key from @error_log order by 1") == [
        ("negative_zero", '[{"_id": 1}]'),
        ("type_conversion", None),
    ]
    assert json.loads(rows[2][0]) == {"a": 1.1}
