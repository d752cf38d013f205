"""Every kind of column keeps its values in PostgreSQL, by COPY and by merge alike (SPEC: E9)."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from urllib.parse import quote

import pyarrow as pa
import pytest
from pydantic import SecretStr

from tests.contract.postgresql_lab import CREATE, Lab, Reading, column, conformed, opened, schema_of
from warp_resources.connectors.postgresql.destination import PostgresDestination
from warp_resources.connectors.postgresql.options import PostgresOptions
from warp_resources.errors import OperatorError
from warp_resources.model.tables import Column, ColumnType, Kind

pytestmark = pytest.mark.servers


@pytest.fixture
def lab(warehouse: str) -> Iterator[Lab]:
    yield from opened(warehouse)


# What the server is expected to show is written by hand.
KINDS: list[tuple[ColumnType, list[object], list[str | None]]] = [
    (ColumnType(Kind.BOOL), [True, False, None], ["true", "false", None]),
    (ColumnType(Kind.INT16), [-(2**15), 2**15 - 1, None], ["-32768", "32767", None]),
    (ColumnType(Kind.INT32), [-(2**31), 2**31 - 1, None], ["-2147483648", "2147483647", None]),
    (ColumnType(Kind.INT64), [-(2**63), 2**63 - 1, None], ["-9223372036854775808", "9223372036854775807", None]),
    (ColumnType(Kind.FLOAT32), [1e-45, 3.4028234663852886e38, None], ["1e-45", "3.4028235e+38", None]),
    (
        ColumnType(Kind.DOUBLE),
        [5e-324, 1.7976931348623157e308, -0.0, float("nan"), float("-inf"), None],
        ["5e-324", "1.7976931348623157e+308", "-0", "NaN", "-Infinity", None],
    ),
    (
        ColumnType(Kind.NUMERIC),
        ["1.10", "1E+30", "NaN", "-Infinity", "0." + "0" * 6000 + "1", None],
        ["1.10", "1" + "0" * 30, "NaN", "-Infinity", "0." + "0" * 6000 + "1", None],
    ),
    (ColumnType(Kind.NUMERIC, precision=5, scale=2), ["-999.99", None], ["-999.99", None]),
    (
        ColumnType(Kind.TEXT),
        ["", "a\nb\\\t", "é😀", "x" * 3_000_000, None],
        ["", "a\nb\\\t", "é😀", "x" * 3_000_000, None],
    ),
    (ColumnType(Kind.BINARY), [b"", b"\x00\xff", None], ["\\x", "\\x00ff", None]),
    (
        ColumnType(Kind.UUID),
        [uuid.UUID(int=0).bytes, uuid.UUID(int=2**128 - 1).bytes, None],
        ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff", None],
    ),
    (
        ColumnType(Kind.TIMESTAMP_TZ, unit="ms"),
        [-210_866_803_200_000, 9_224_318_015_999_999, -1, None],
        ["4714-11-24 00:00:00+00 BC", "294276-12-31 23:59:59.999+00", "1969-12-31 23:59:59.999+00", None],
    ),
    (
        ColumnType(Kind.TIMESTAMP_TZ, unit="us"),
        [-210_866_803_200_000_000, 1, None],
        ["4714-11-24 00:00:00+00 BC", "1970-01-01 00:00:00.000001+00", None],
    ),
    (ColumnType(Kind.TIMESTAMP, unit="us"), [1, None], ["1970-01-01 00:00:00.000001", None]),
    (ColumnType(Kind.DATE), [-2_440_588, 2_932_897, None], ["4714-11-24 BC", "10000-01-01", None]),
    (ColumnType(Kind.TIME), [0, 86_399_999_999, None], ["00:00:00", "23:59:59.999999", None]),
    (ColumnType(Kind.JSON), ['{"a": 1.10}', "null", '"x"', "[]", None], ['{"a": 1.10}', "null", '"x"', "[]", None]),
]
IDS = [f"{column_type}-{column_type.unit}" for column_type, _, _ in KINDS]


def _expected(shown: list[str | None]) -> list[tuple[str | None, ...]]:
    return [(str(index), value) for index, value in enumerate(shown)]


@pytest.mark.parametrize(("column_type", "values", "shown"), KINDS, ids=IDS)
def test_values_survive_a_merge(
    lab: Lab, column_type: ColumnType, values: list[object], shown: list[str | None]
) -> None:
    schema = schema_of(column("_id", Kind.INT64), Column("v", "v", column_type))
    rows = {"_id": range(len(values)), "v": values}
    assert lab.receipt(conformed(schema, rows, changes=CREATE)).rows_written == len(values)
    assert lab.rows(schema) == _expected(shown)
    # Once more over the rows that are there now, in another order.
    again = {"_id": list(reversed(range(len(values)))), "v": list(reversed(values))}
    assert lab.receipt(conformed(schema, again)).rows_written == len(values)
    assert lab.rows(schema) == _expected(shown)


@pytest.mark.parametrize(("column_type", "values", "shown"), KINDS, ids=IDS)
def test_values_survive_a_first_load(
    lab: Lab, column_type: ColumnType, values: list[object], shown: list[str | None]
) -> None:
    schema = schema_of(column("_id", Kind.INT64), Column("v", "v", column_type))
    reading = Reading.open(lab, schema)
    reading.begin()
    reading.chunk(conformed(schema, {"_id": range(len(values)), "v": values}, changes=CREATE))
    assert lab.rows(schema) == _expected(shown)


@pytest.mark.parametrize(("column_type", "values", "shown"), KINDS, ids=IDS)
def test_equal_values_are_left_alone_by_a_batch_tick(
    lab: Lab, column_type: ColumnType, values: list[object], shown: list[str | None]
) -> None:
    schema = schema_of(column("_id", Kind.INT64), Column("v", "v", column_type))
    rows = {"_id": range(len(values)), "v": values}
    assert lab.batch_commit(conformed(schema, rows, changes=CREATE)).rows_written == len(values)
    assert lab.batch_commit(conformed(schema, rows)).rows_written == 0
    changed = {"_id": [0], "v": [values[-1]]}
    assert lab.batch_commit(conformed(schema, changed)).rows_written == 1
    assert lab.rows(schema) == _expected([None, *shown[1:]])


@pytest.mark.parametrize(
    ("kind", "before", "after", "shown"),
    [(Kind.DOUBLE, 0.0, -0.0, "-0"), (Kind.NUMERIC, "1.1", "1.10", "1.10"), (Kind.JSON, "[1.0]", "[1.00]", "[1.00]")],
)
def test_equal_is_not_the_same(lab: Lab, kind: Kind, before: object, after: object, shown: str) -> None:
    schema = schema_of(column("_id", Kind.INT64), column("v", kind))
    lab.batch_commit(conformed(schema, {"_id": [1], "v": [before]}, changes=CREATE))
    assert lab.batch_commit(conformed(schema, {"_id": [1], "v": [after]})).rows_written == 1
    assert lab.rows(schema) == [("1", shown)]


def test_large_batches_travel_in_pieces(lab: Lab) -> None:
    schema = schema_of(column("_id", Kind.INT64), column("v", Kind.TEXT))
    count = 120_001
    rows = {"_id": pa.array(range(count), pa.int64()), "v": pa.array(["x" * 100] * count)}
    assert lab.receipt(conformed(schema, rows, changes=CREATE)).rows_written == count
    assert lab.destination.row_count(schema.table) == count


def test_columns_that_a_batch_lacks_become_null(lab: Lab) -> None:
    # SPEC: E5
    schema = schema_of(column("_id", Kind.INT64), column("a", Kind.TEXT), column("b", Kind.TEXT))
    lab.write(conformed(schema, {"_id": [1], "a": ["x"], "b": ["y"]}, changes=CREATE))
    lab.write(conformed(schema, {"_id": [1], "b": ["z"]}))
    assert lab.rows(schema) == [("1", None, "z")]
    lab.write(conformed(schema, {"_id": [1]}))
    assert lab.rows(schema) == [("1", None, None)]


NASTY = [
    '"; drop table x; --',
    "emoji 😀",
    " spaces  inside ",
    "100%",
    "%s",
    "%(x)s",
    "{}",
    "select",
    "a.b",
    "Case",
    "'",
]


@pytest.mark.parametrize("name", NASTY)
def test_any_name_replicates_like_any_other(lab: Lab, name: str) -> None:
    # SPEC: Z4
    base = schema_of(column(name, Kind.TEXT), column(f"{name}2", Kind.NUMERIC), key=(name,))
    schema = type(base)(base.table, name, f"t{name}", base.columns, base.key, 1)
    lab.write(conformed(schema, {name: ["a", "b"], f"{name}2": ["1.0", "2"]}, changes=CREATE))
    reading = Reading.open(lab, schema)
    reading.begin()
    reading.chunk(conformed(schema, {name: ["a"], f"{name}2": ["3"]}))
    assert lab.rows(schema) == [("a", "3"), ("b", "2")]
    assert reading.finish() == 1
    assert lab.rows(schema) == [("a", "3")]
    assert lab.receipt(conformed(schema, deletes=["a"])).rows_deleted == 1
    assert lab.destination.table_schemas("shop")["users"] == schema
    logged = lab.metadata("(primary_key::json)->>0, json_object_keys(primary_key::json) from @deletion_log")
    assert [row[1] for row in logged] == [name, name]


def test_a_straight_copy_refuses_altered_columns(lab: Lab) -> None:
    schema = schema_of(column("_id", Kind.INT64), column("v", Kind.INT64))
    reading = Reading.open(lab, schema)
    reading.begin()
    reading.chunk(conformed(schema, {"_id": [1], "v": [1]}, changes=CREATE), resume=None)
    lab.connection.execute("alter table shop.users alter column v type double precision")
    reading.begin()
    with pytest.raises(OperatorError, match="type that its registry entry"):
        reading.chunk(conformed(schema, {"_id": [2], "v": [2]}))


def test_session_defaults_do_not_change_values(warehouse: str) -> None:
    defaults = quote("-c timezone=Asia/Tokyo -c extra_float_digits=0 -c datestyle=German")
    lab = Lab.open(f"{warehouse}?options={defaults}")
    try:
        schema = schema_of(column("_id", Kind.INT64), column("v", Kind.DOUBLE), column("at", Kind.TIMESTAMP_TZ))
        lab.write(conformed(schema, {"_id": [1], "v": [0.1 + 0.2], "at": [0]}, changes=CREATE))
        shown = lab.destination._session.rows("select v::text, at::text from shop.users")
        assert shown == [("0.30000000000000004", "1970-01-01 00:00:00+00")]
    finally:
        lab.close()


def test_options_are_hidden() -> None:
    options = PostgresOptions(connection_string=SecretStr("postgresql://u:geheim@h/d"))
    assert "geheim" not in repr(options)
    assert "geheim" not in repr(PostgresDestination(options))
