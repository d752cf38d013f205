"""Which column type, family and value each BSON type becomes (SPEC E9)."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

import bson
import pytest
from bson import Binary, Code, DatetimeMS, DBRef, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp

from warp_resources.connectors.mongodb.decode import decode
from warp_resources.model.batches import RawColumn
from warp_resources.model.tables import ColumnType, Kind, TableId

TABLE = TableId("shop", "users")
INTEGER, DOUBLE, NUMERIC = ColumnType(Kind.INT64, exact=True), ColumnType(Kind.DOUBLE), ColumnType(Kind.NUMERIC)
TEXT, JSON, BINARY, UUID = (ColumnType(kind) for kind in (Kind.TEXT, Kind.JSON, Kind.BINARY, Kind.UUID))
DATE = ColumnType(Kind.TIMESTAMP_TZ, unit="ms")
OID = ObjectId("0123456789abcdef01234567")
SOME_UUID = uuid.UUID("12345678-1234-5678-1234-567812345678")


def columns_of(*documents: dict[str, Any]) -> dict[str, RawColumn]:
    batch = decode(TABLE, [bson.encode(document) for document in documents])
    assert batch.flaws == ()
    assert batch.row_count == len(documents)
    return {column.name: column for column in batch.columns}


def shown(column: RawColumn) -> list[tuple[ColumnType, str, list[Any]]]:
    return [
        (
            variant.type,
            variant.family,
            (variant.values.view("int64") if variant.type == DATE else variant.values).to_pylist(),
        )
        for variant in column.variants
    ]


SAMPLES: list[tuple[Any, ColumnType, str, Any]] = [
    (0, INTEGER, "number", 0),
    (2**31 - 1, INTEGER, "number", 2**31 - 1),
    (Int64(2**53), INTEGER, "number", 2**53),
    (Int64(2**63 - 1), ColumnType(Kind.INT64), "number", 2**63 - 1),
    (Int64(-(2**63)), ColumnType(Kind.INT64), "number", -(2**63)),
    (1.5, DOUBLE, "number", 1.5),
    (1e300, DOUBLE, "number", 1e300),
    (float("inf"), DOUBLE, "number", float("inf")),
    (Decimal128("1.10"), NUMERIC, "decimal", "1.10"),
    (Decimal128("-0.001"), NUMERIC, "decimal", "-0.001"),
    (Decimal128("1E+6000"), NUMERIC, "decimal", "1E+6000"),
    (Decimal128("1E-6176"), NUMERIC, "decimal", "1E-6176"),
    (Decimal128("NaN"), NUMERIC, "decimal", "NaN"),
    (Decimal128("-Infinity"), NUMERIC, "decimal", "-Infinity"),
    (True, ColumnType(Kind.BOOL), "bool", True),
    ("Zoë\0\U0001f600", TEXT, "string", "Zoë\0\U0001f600"),
    (OID, TEXT, "objectId", "0123456789abcdef01234567"),
    (datetime(2024, 2, 29, 1, 2, 3, 456000), DATE, "date", 1709168523456),
    (DatetimeMS(-(2**63)), DATE, "date", -(2**63)),
    (DatetimeMS(2**63 - 1), DATE, "date", 2**63 - 1),
    (DatetimeMS(-62135596800001), DATE, "date", -62135596800001),
    (DatetimeMS(253402300800000), DATE, "date", 253402300800000),
    (b"\0\xff", BINARY, "binary:00", b"\0\xff"),
    (Binary(b"abc", 5), BINARY, "binary:05", b"abc"),
    (Binary(SOME_UUID.bytes, 3), BINARY, "binary:03", SOME_UUID.bytes),
    (Binary(SOME_UUID.bytes, 4), UUID, "uuid", SOME_UUID.bytes),
    (Binary(b"short", 4), BINARY, "binary:04", b"short"),
]
ODD: list[tuple[Any, str]] = [
    (Regex("^a", "i"), '{"$regularExpression": {"pattern": "^a", "options": "i"}}'),
    (Code("f()"), '{"$code": "f()"}'),
    (Code("f()", {"a": 1}), '{"$code": "f()", "$scope": {"a": 1}}'),
    (DBRef("users", OID), '{"$ref": "users", "$id": {"$oid": "0123456789abcdef01234567"}}'),
    (MinKey(), '{"$minKey": 1}'),
    (MaxKey(), '{"$maxKey": 1}'),
    (Timestamp(7, 9), '{"$timestamp": {"t": 7, "i": 9}}'),
]


# SPEC: E9
@pytest.mark.parametrize(("value", "column_type", "family", "carried"), SAMPLES, ids=repr)
def test_a_scalar_becomes_its_column_type(value: Any, column_type: ColumnType, family: str, carried: Any) -> None:
    column = columns_of({"_id": 1, "v": value}, {"_id": 2}, {"_id": 3, "v": None})["v"]
    assert shown(column) == [(column_type, family, [carried, None, None])]


# SPEC: E11
@pytest.mark.parametrize(("value", "column_type", "family", "carried"), SAMPLES, ids=repr)
def test_a_key_has_the_family_of_its_type(value: Any, column_type: ColumnType, family: str, carried: Any) -> None:
    assert shown(columns_of({"_id": value})["_id"]) == [(column_type, family, [carried])]


# SPEC: E1, E9
@pytest.mark.parametrize(("value", "text"), ODD, ids=repr)
def test_an_odd_type_becomes_relaxed_extended_json(value: Any, text: str) -> None:
    assert shown(columns_of({"_id": 1, "v": value})["v"]) == [(JSON, "json", [text])]
    assert shown(columns_of({"_id": value})["_id"]) == [(TEXT, "json", [text])]


# SPEC: E11
@pytest.mark.parametrize(("key", "text"), [(None, "null"), ({"a": 1.0}, '{"a": 1.0}'), ({}, "{}")], ids=repr)
def test_a_document_or_null_as_a_key_is_relaxed_extended_json(key: Any, text: str) -> None:
    assert shown(columns_of({"_id": key, "v": 1})["_id"]) == [(TEXT, "json", [text])]


# SPEC: E11
def test_keys_of_several_families_are_disjoint_variants() -> None:
    keys = [1, "1", OID, 2.5, None, Binary(b"x", 5), b"x", True, {"a": 1}]
    column = columns_of(*({"_id": key} for key in keys))["_id"]
    found = {
        row: (variant.family, value)
        for variant in column.variants
        for row, value in enumerate(variant.values.to_pylist())
        if value is not None
    }
    families = ["number", "string", "objectId", "number", "json", "binary:05", "binary:00", "bool", "json"]
    assert [found[row][0] for row in range(len(keys))] == families
    assert sum(len(variant.values) - variant.values.null_count for variant in column.variants) == len(keys)


def test_a_column_of_several_types_has_a_variant_of_each() -> None:
    column = columns_of(*({"_id": n, "v": v} for n, v in enumerate([1, "a", None, 2.5, Int64(2), {"x": 1}, []])))["v"]
    assert {variant.type: variant.values.to_pylist() for variant in column.variants} == {
        INTEGER: [1, None, None, None, 2, None, None],
        TEXT: [None, "a", None, None, None, None, None],
        DOUBLE: [None, None, None, 2.5, None, None, None],
        JSON: [None, None, None, None, None, '{"x":1}', "[]"],
    }


def test_nan_stays_a_value() -> None:
    (variant,) = columns_of({"_id": 1, "v": float("nan")}, {"_id": 2, "v": None})["v"].variants
    assert variant.values.null_count == 1
    assert str(variant.values[0]) == "nan"


def test_a_field_of_nothing_but_nulls_has_no_variant() -> None:
    assert columns_of({"_id": 1, "v": None})["v"].variants == ()


def test_one_integer_that_no_double_holds_makes_the_column_inexact() -> None:
    # SPEC: E2
    values = [Int64(2**53), Int64(2**53 + 1)]
    assert shown(columns_of({"_id": 1, "v": values[0]})["v"])[0][0].exact
    assert not shown(columns_of(*({"_id": n, "v": v} for n, v in enumerate(values)))["v"])[0][0].exact
