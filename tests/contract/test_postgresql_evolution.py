"""Type changes in PostgreSQL keep every value, and spell it as the engine does in Python."""

from __future__ import annotations

import random
import struct
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import psycopg
import pyarrow as pa
import pytest
from bson import Binary, ObjectId, json_util
from bson.datetime_ms import DatetimeMS
from psycopg import sql

from tests.contract.postgresql_lab import CREATE, RUN, Lab, Reading, column, conformed, opened, schema_of
from tests.type_tables.postgresql_types import DOUBLES, MS, TEXT_IDS, TEXTS
from warp_resources.arrow.canonical import canonical_text
from warp_resources.arrow.keys import key_text
from warp_resources.arrow.types import arrow_type
from warp_resources.connectors.postgresql import conversions
from warp_resources.errors import TableFailure
from warp_resources.model.batches import Variant
from warp_resources.model.rules import TableRules
from warp_resources.model.tables import ChangeKind, Column, ColumnType, Kind, SchemaChange, TableSchema

pytestmark = pytest.mark.servers


@pytest.fixture
def lab(warehouse: str) -> Iterator[Lab]:
    yield from opened(warehouse)


def altered(schema: TableSchema, kind: ChangeKind, after: Column) -> tuple[TableSchema, tuple[SchemaChange, ...]]:
    """The next version of a schema, with the change that leads there."""
    before = schema.column(after.name)
    columns = tuple(after if c.name == after.name else c for c in schema.columns)
    columns = columns if before else (*columns, after)
    return replace(schema, columns=columns, version=schema.version + 1), (SchemaChange(kind, after, before),)


@pytest.mark.parametrize(("column_type", "cases"), TEXTS, ids=TEXT_IDS)
def test_a_column_that_becomes_text_keeps_canonical_text(
    lab: Lab, column_type: ColumnType, cases: list[tuple[object, str]]
) -> None:
    # SPEC: E3, E8
    schema = schema_of(column("_id", Kind.INT64), Column("v", "v", column_type))
    values = [value for value, _ in cases]
    lab.write(conformed(schema, {"_id": range(len(cases)), "v": values}, changes=CREATE))
    after, changes = altered(schema, ChangeKind.ALTER_TYPE, column("v", Kind.TEXT))
    lab.write(conformed(after, {"_id": [-1], "v": [None]}, changes=changes))
    stored = lab.connection.execute("select v from shop.users where _id >= 0 order by _id").fetchall()
    assert [row[0] for row in stored] == [text for _, text in cases]
    # And as the Python twin spells them.
    carried = canonical_text(pa.array(values, arrow_type(column_type)), column_type)
    if column_type.kind is not Kind.NUMERIC or "1E" not in str(values):
        assert carried.to_pylist() == [text for _, text in cases]


@pytest.mark.parametrize(
    ("before", "after", "values", "shown"),
    [
        (Kind.INT16, Kind.INT32, [-(2**15)], ["-32768"]),
        (Kind.INT32, Kind.INT64, [2**31 - 1], ["2147483647"]),
        (Kind.INT64, Kind.NUMERIC, [2**63 - 1], ["9223372036854775807"]),
        (Kind.INT64, Kind.DOUBLE, [2**53], ["9.007199254740992e+15"]),
        (Kind.FLOAT32, Kind.DOUBLE, [0.1], ["0.10000000149011612"]),
        (
            Kind.DOUBLE,
            Kind.NUMERIC,
            [0.1 + 0.2, 1e23, float("nan"), float("-inf"), 1e-7],
            ["0.30000000000000004", "1" + "0" * 23, "NaN", "-Infinity", "0.0000001"],
        ),
        (Kind.INT64, Kind.TEXT, [-1], ["-1"]),
    ],
)
def test_widening_is_lossless(lab: Lab, before: Kind, after: Kind, values: list[object], shown: list[str]) -> None:
    # SPEC: E2
    schema = schema_of(column("_id", Kind.INT64), column("v", before))
    lab.write(conformed(schema, {"_id": range(len(values)), "v": values}, changes=CREATE))
    wider, changes = altered(schema, ChangeKind.ALTER_TYPE, column("v", after))
    lab.write(conformed(wider, {"_id": [99], "v": [None]}, changes=changes))
    assert [row[1] for row in lab.rows(wider)][: len(values)] == shown
    assert lab.destination.table_schemas("shop")["users"] == wider


def test_a_widened_double_reads_the_same_as_text(lab: Lab) -> None:
    # SPEC: E8
    schema = schema_of(column("_id", Kind.INT64), column("v", Kind.DOUBLE))
    cases = [(value, text) for value, text in DOUBLES if not (value == 0 and text == "-0")]
    lab.write(conformed(schema, {"_id": range(len(cases)), "v": [value for value, _ in cases]}, changes=CREATE))
    for kind in (Kind.NUMERIC, Kind.TEXT):
        schema, changes = altered(schema, ChangeKind.ALTER_TYPE, column("v", kind))
        lab.write(conformed(schema, {"_id": [99], "v": [None]}, changes=changes))
    stored = lab.connection.execute("select v from shop.users where _id < 99 order by _id").fetchall()
    assert [row[0] for row in stored] == [text for _, text in cases]


def test_the_keys_of_zeros_that_lose_their_sign_are_logged(lab: Lab) -> None:
    # SPEC: E8
    key, value = column("_id", Kind.INT64), column("x", Kind.DOUBLE)
    lab.write(conformed(schema_of(key, value), {"_id": [1, 2, 3], "x": [-0.0, 0.0, -0.0]}, changes=CREATE))
    after = [replace(key, type=ColumnType(Kind.NUMERIC)), replace(value, type=ColumnType(Kind.NUMERIC))]
    changes = tuple(SchemaChange(ChangeKind.ALTER_TYPE, new, old) for old, new in zip((key, value), after, strict=True))
    lab.write(conformed(replace(schema_of(*after), version=2), changes=changes))
    assert lab.metadata("column_name, error_type, action, primary_key, run_id from @error_log") == [
        ("x", "negative_zero", "stored as 0", '[{"_id": 1}, {"_id": 3}]', RUN)
    ]
    [(message,)] = lab.metadata("message from @error_log")
    assert message.startswith("2 stored values lost the minus sign")


def test_several_changes_are_one_statement_and_one_version(lab: Lab) -> None:
    # SPEC: E4, T2
    schema = schema_of(column("_id", Kind.INT64), column("v", Kind.INT32))
    lab.write(conformed(schema, {"_id": [1], "v": [1]}, changes=CREATE))
    second, widened = altered(schema, ChangeKind.ALTER_TYPE, column("v", Kind.INT64))
    third, added = altered(second, ChangeKind.ADD_COLUMN, Column("neu/é", "neu_1", ColumnType(Kind.JSON)))
    third, bounds = altered(third, ChangeKind.BOUNDS, column("v", Kind.INT64, exact=True))
    third = replace(third, version=2)
    changes = (*widened, *added, *bounds)
    lab.write(conformed(third, {"_id": [2], "v": [2**40], "neu_1": ["[]"]}, changes=changes))
    assert lab.rows(third) == [("1", "1", None), ("2", str(2**40), "[]")]
    assert lab.destination.table_schemas("shop")["users"] == third
    versions = lab.metadata("version, jsonb_array_length(changes), run_id from @schema_registry order by 1")
    assert versions == [(1, 1, "run-1"), (2, 3, "run-1")]
    assert lab.metadata("column_name, stored_name from @name_map") == [("neu/é", "neu_1")]


def test_a_failed_commit_takes_its_ddl_with_it(lab: Lab) -> None:
    # SPEC: T7
    schema = schema_of(column("_id", Kind.INT64), column("v", Kind.INT32))
    lab.write(conformed(schema, {"_id": [1], "v": [1]}, changes=CREATE))
    wider, changes = altered(schema, ChangeKind.ADD_COLUMN, column("w", Kind.JSON))
    lab.connection.execute("alter table shop.users add check (v < 10)")
    part = conformed(wider, {"_id": [2], "v": [11], "w": ["1"]}, changes=changes)
    with pytest.raises(TableFailure):
        lab.write(replace(part, rules=TableRules(rejected_share=0.0)))
    assert lab.destination.table_schemas("shop")["users"] == schema
    assert lab.rows(schema) == [("1", "1")]


def test_a_reader_that_blocks_an_alter_concerns_no_other_table(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    # FAULTS: 17
    monkeypatch.setattr("warp_resources.connectors.postgresql.patience._LONG", "100ms")
    schema = schema_of(column("_id", Kind.INT64), column("v", Kind.INT32))
    lab.write(conformed(schema, {"_id": [1], "v": [1]}, changes=CREATE))
    wider, changes = altered(schema, ChangeKind.ADD_COLUMN, column("w", Kind.JSON))
    part = conformed(wider, {"_id": [2], "v": [2], "w": ["1"]}, changes=changes)
    with psycopg.connect(lab.uri) as reader:
        reader.execute("select * from shop.users")
        with pytest.raises(TableFailure, match="lock"):
            lab.write(part)
    assert lab.receipt(part).rows_written == 1


OBJECT_IDS = [ObjectId(b"\x00" * 12), ObjectId(b"\xff" * 12)]
STRINGS = [
    "",
    "a",
    'q"\\/',
    "\b\f\n\r\t\x01\x1f\x7f",
    "é",
    "\ud7ff\ue000",
    "😀\U0010ffff",
    "a b",
    "%s {}",
    "1",
    "\u2028",
]
DATES = [0, 1, 1_000, 253_402_300_799_999, 253_402_300_800_000, -1, -62_135_596_800_000, 1_704_067_200_123]
KEYS: list[tuple[Column, Sequence[object], list[str]]] = [
    (
        column("_id", Kind.TEXT, family="objectId"),
        [str(value) for value in OBJECT_IDS],
        [json_util.dumps(value, json_options=json_util.RELAXED_JSON_OPTIONS) for value in OBJECT_IDS],
    ),
    (
        column("_id", Kind.TEXT, family="string"),
        STRINGS,
        [json_util.dumps(value, json_options=json_util.RELAXED_JSON_OPTIONS) for value in STRINGS],
    ),
    (
        column("_id", Kind.TIMESTAMP_TZ, unit="ms", family="date"),
        DATES,
        [json_util.dumps(DatetimeMS(value), json_options=json_util.RELAXED_JSON_OPTIONS) for value in DATES],
    ),
    (
        column("_id", Kind.UUID, family="uuid"),
        [uuid.UUID(int=2**127 + 3).bytes],
        [json_util.dumps(Binary(uuid.UUID(int=2**127 + 3).bytes, 4), json_options=json_util.RELAXED_JSON_OPTIONS)],
    ),
    (
        column("_id", Kind.BINARY, family="binary:80"),
        [b"", bytes(range(256))],
        [
            json_util.dumps(Binary(v, 128), json_options=json_util.RELAXED_JSON_OPTIONS)
            for v in (b"", bytes(range(256)))
        ],
    ),
    (column("_id", Kind.BOOL, family="bool"), [True, False], ["true", "false"]),
    (column("_id", Kind.INT64, family="number"), [-(2**63), 0, 1], ["-9223372036854775808", "0", "1"]),
    (
        column("_id", Kind.DOUBLE, family="number"),
        [1.0, 0.1, 1e-5, 0.0001, 1e21, 5e-324, 2.0**62, -(2.0**63), float("nan")],
        [
            "1",
            "0.1",
            "1e-05",
            "0.0001",
            "1e+21",
            "5e-324",
            "4611686018427387904",
            "-9223372036854775808",
            '{"$numberDouble": "NaN"}',
        ],
    ),
    (
        column("_id", Kind.NUMERIC, family="number"),
        ["1.10", "3.0", "0.000010", "1E+22", "1000000000000000000000"],
        ["1.1", "3", "1e-05", "1e+22", "1e+21"],
    ),
    (
        column("_id", Kind.NUMERIC, family="decimal"),
        ["1.10", "3.0", "0.50", "9.31322574615478515625E-10", "1E+22", "1E+23", str(2**63), str(2**62), "1E-6143"],
        [
            '{"$numberDecimal": "1.1"}',
            *("3", "0.5", "9.313225746154785e-10", "1e+22", '{"$numberDecimal": "1e+23"}'),
            *("9223372036854776000", "4611686018427387904", '{"$numberDecimal": "1e-6143"}'),
        ],
    ),
    (column("_id", Kind.TEXT, family="json"), ['{"a": 1}'], ['{"a": 1}']),
]


@pytest.mark.parametrize(("key", "values", "texts"), KEYS, ids=[f"{c.family}-{c.type}" for c, _, _ in KEYS])
def test_keys_become_json(lab: Lab, key: Column, values: Sequence[object], texts: list[str]) -> None:
    # SPEC: E11
    values = [Decimal(v) if isinstance(v, Decimal) else v for v in values]
    schema = schema_of(key, column("n", Kind.INT64))
    lab.write(conformed(schema, {"_id": values, "n": range(len(values))}, changes=CREATE))
    mixed, changes = altered(schema, ChangeKind.KEY_TO_JSON, column("_id", Kind.TEXT, family="mixed"))
    lab.write(conformed(mixed, {"_id": ['"new"'], "n": [99]}, deletes=[texts[0]], changes=changes))
    stored = lab.connection.execute("select _id from shop.users where n < 99 order by n").fetchall()
    assert [row[0] for row in stored] == texts[1:]
    assert key_text(Variant(key.type, pa.array(values, arrow_type(key.type)), key.family)).to_pylist() == texts


def test_stale_keys_are_logged_as_json(lab: Lab) -> None:
    schema = schema_of(column("_id", Kind.TEXT, family="objectId"))
    lab.write(conformed(schema, {"_id": ["00" * 12]}, changes=CREATE))
    assert Reading.open(lab, schema).finish() == 1
    assert lab.metadata("primary_key from @deletion_log") == [('{"_id": {"$oid": "' + "00" * 12 + '"}}',)]


def _random_doubles(count: int) -> list[float]:
    rng = random.Random(4)
    raw = [struct.unpack("<d", rng.randbytes(8))[0] for _ in range(count)]
    return (
        raw
        + [round(rng.uniform(-1e6, 1e6), rng.randint(0, 6)) for _ in range(count)]
        + [10.0**e for e in range(-30, 30)]
        + [2.0**e for e in range(-1074, 1024)]
        + [rng.randint(1, 999) * 10.0**e for e in range(15, 40) for _ in range(40)]
    )


def _random_numerics(count: int) -> list[str]:
    rng = random.Random(5)
    literals = []
    for _ in range(count):
        digits = str(rng.randint(0, 10 ** rng.randint(1, 40)))
        scale = rng.randint(0, 50)
        literals.append(
            f"{rng.choice(['', '-'])}{digits.rjust(scale + 1, '0')[: -scale or None]}" + _fraction(digits, scale)
        )
    exact = [f"{Decimal(value):f}" for value in _random_doubles(100) if value == value and abs(value) < 1e300]
    return [literal for literal in (*literals, *exact) if Decimal(literal) != 0]


def _fraction(digits: str, scale: int) -> str:
    return "." + digits.rjust(scale, "0")[-scale:] if scale else ""


def _random_times(count: int) -> list[int]:
    rng = random.Random(6)
    edges = [int(datetime(year, 1, 1, tzinfo=UTC).timestamp() * 1000) for year in (1, 2, 1969, 1970, 2000, 9999)]
    return [rng.randint(-210_866_803_200_000, 9_224_318_015_999_999) for _ in range(count)] + edges


@pytest.mark.parametrize(
    ("column_type", "values"),
    [
        (ColumnType(Kind.DOUBLE), _random_doubles(3000)),
        (ColumnType(Kind.NUMERIC), _random_numerics(3000)),
        (MS, _random_times(3000)),
        (ColumnType(Kind.TIMESTAMP_TZ, unit="us"), [v * 1000 + v % 1000 for v in _random_times(500) if abs(v) < 9e15]),
        (ColumnType(Kind.DATE), [v // 86_400_000 for v in _random_times(1000)]),
    ],
    ids=["double", "numeric", "ms", "us", "date"],
)
@pytest.mark.parametrize("spelling", ["canonical", "key"])
def test_the_server_spells_as_python_does(
    lab: Lab, column_type: ColumnType, values: list[object], spelling: str
) -> None:
    """Parity with ``arrow.canonical`` and ``arrow.keys``, which are tested against SPEC by themselves."""
    schema = schema_of(column("_id", Kind.INT64), Column("v", "v", column_type))
    array = pa.array(values, arrow_type(column_type))
    lab.write(conformed(schema, {"_id": range(len(values)), "v": array}, changes=CREATE))
    place = sql.Identifier("v")
    if spelling == "canonical":
        expression, expected = conversions.canonical_text(column_type, place), canonical_text(array, column_type)
    else:
        expression, expected = conversions.key_json(schema.columns[1], place), key_text(Variant(column_type, array))
    lab.connection.execute(conversions.temporary_functions())
    stored = lab.connection.execute(sql.SQL("select {} from shop.users order by _id").format(expression)).fetchall()
    differing = [
        (value, row[0], text)
        for value, row, text in zip(values, stored, expected.to_pylist(), strict=True)
        if row[0] != text
    ]
    assert differing == []
