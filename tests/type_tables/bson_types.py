"""What each BSON type becomes in PostgreSQL."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

from bson import Code, DatetimeMS, DBRef, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from bson.binary import Binary, UuidRepresentation

from tests.type_tables.table import Sample, TypeRow

_ID = ObjectId("65a0b1c2d3e4f5a6b7c8d9e0")
_UUID = uuid.UUID("8c0d3b2e-6f1a-4c55-9a7e-0123456789ab")

BSON_TYPES = (
    TypeRow(
        "int32",
        "bigint",
        (
            Sample("0", 0, "0"),
            Sample("2147483647", 2**31 - 1, "2147483647"),
            Sample("-2147483648", -(2**31), "-2147483648"),
        ),
        "The same column as int64: MongoDB's tools change between the two without being asked.",
    ),
    TypeRow(
        "int64",
        "bigint",
        (
            Sample("9223372036854775807", Int64(2**63 - 1), "9223372036854775807"),
            Sample("-9223372036854775808", Int64(-(2**63)), "-9223372036854775808"),
            Sample("9007199254740993", Int64(2**53 + 1), "9007199254740993"),
        ),
        "Meets doubles in a double as long as every integer so far is exact in one, else in numeric.",
    ),
    TypeRow(
        "double",
        "double precision",
        (
            Sample("1.5", 1.5, "1.5"),
            Sample("0.1", 0.1, "0.1"),
            Sample("-0.0", -0.0, "-0"),
            Sample("1e308", 1e308, "1e+308"),
            Sample("5e-324", 5e-324, "5e-324"),
            Sample("NaN", float("nan"), "NaN"),
            Sample("Infinity", float("inf"), "Infinity"),
            Sample("-Infinity", float("-inf"), "-Infinity"),
        ),
    ),
    TypeRow(
        "decimal128",
        "numeric",
        (
            Sample("1.10", Decimal128("1.10"), "1.10"),
            Sample(
                "34 digits",
                Decimal128("1234567890.123456789012345678901234"),
                "1234567890.123456789012345678901234",
            ),
            Sample("1E+20", Decimal128("1E+20"), "100000000000000000000"),
            Sample("1E-20", Decimal128("1E-20"), "0.00000000000000000001"),
            Sample("NaN", Decimal128("NaN"), "NaN"),
            Sample("Infinity", Decimal128("Infinity"), "Infinity"),
            Sample("-0", Decimal128("-0"), "0", lost="negative_zero"),
        ),
        "The scale is kept. Up to 1E+6144 and down to 1E-6176: all that the type can hold.",
    ),
    TypeRow("bool", "boolean", (Sample("true", True, "true"), Sample("false", False, "false"))),
    TypeRow(
        "string",
        "text",
        (
            Sample('""', "", ""),
            Sample('"naïve 💾"', "naïve 💾", "naïve 💾"),
            Sample('"0123"', "0123", "0123"),
            Sample('"a\\0b"', "a\0b", "ab", lost="character_removed"),
        ),
        "PostgreSQL's text has no NUL character: it is removed, the original kept.",
    ),
    TypeRow(
        "ObjectId", "text", (Sample('ObjectId("65a0...")', _ID, str(_ID)),), "As a key: told from strings, see below."
    ),
    TypeRow(
        "date",
        "timestamp with time zone",
        (
            Sample(
                "2024-02-29T12:30:00.123Z", datetime(2024, 2, 29, 12, 30, 0, 123000, UTC), "2024-02-29 12:30:00.123+00"
            ),
            Sample("1969-12-31T23:59:59.999Z", DatetimeMS(-1), "1969-12-31 23:59:59.999+00"),
            Sample("year 0", DatetimeMS(-62_167_219_200_000), "0001-01-01 00:00:00+00 BC"),
            Sample("year 10000", DatetimeMS(253_402_300_800_000), "10000-01-01 00:00:00+00"),
            Sample("year 294276", DatetimeMS(9_224_318_015_999_000), "294276-12-31 23:59:59+00"),
        ),
    ),
    TypeRow(
        "date outside 4714 BC to 294276",
        "text",
        (
            Sample("the last one, 292278994", DatetimeMS(2**63 - 1), "+292278994-08-17T07:12:55.807Z"),
            Sample("the first one", DatetimeMS(-(2**63)), "-292275055-05-16T16:47:04.192Z"),
            Sample("2024-01-01T00:00:00Z", datetime(2024, 1, 1, tzinfo=UTC), "2024-01-01T00:00:00.000Z"),
        ),
        "PostgreSQL cannot hold such a date, so the whole column becomes text.",
    ),
    TypeRow(
        "binary",
        "bytea",
        (
            Sample("00 ff", b"\x00\xff", "\\x00ff"),
            Sample("nothing", b"", "\\x"),
            Sample("subtype 128", Binary(b"\x01", 128), "\\x01"),
        ),
        "The subtype is kept in keys only.",
    ),
    TypeRow(
        "binary, subtype 4 (UUID)",
        "uuid",
        (Sample(str(_UUID), Binary.from_uuid(_UUID), str(_UUID)),),
    ),
    TypeRow(
        "binary, subtype 3 (old UUID)",
        "bytea",
        (
            Sample(
                str(_UUID),
                Binary.from_uuid(_UUID, UuidRepresentation.PYTHON_LEGACY),
                "\\x8c0d3b2e6f1a4c559a7e0123456789ab",
            ),
        ),
        "Its byte order depends on the driver that wrote it, so it is not guessed.",
    ),
    TypeRow(
        "object",
        "jsonb",
        (
            Sample("{}", {}, "{}"),
            Sample(
                "{n: 1.10 (decimal), at: a date, by: an ObjectId}",
                {"n": Decimal128("1.10"), "at": datetime(2024, 1, 1, tzinfo=UTC), "by": _ID},
                f'{{"n": 1.10, "at": "2024-01-01T00:00:00.000Z", "by": "{_ID}"}}',
            ),
            Sample(
                "{big: 9223372036854775807, bad: NaN}",
                {"big": Int64(2**63 - 1), "bad": float("nan")},
                '{"bad": "NaN", "big": 9223372036854775807}',
            ),
            Sample('{"": 1, "a.b": 2, "$c": 3}', {"": 1, "a.b": 2, "$c": 3}, '{"": 1, "$c": 3, "a.b": 2}'),
            Sample('{s: "a\\0b"}', {"s": "a\0b"}, '{"s": "ab"}', lost="character_removed"),
            Sample("{z: -0.0}", {"z": -0.0}, '{"z": 0}', lost="negative_zero"),
        ),
        "Canonical JSON, no digit lost; `json_format: extended` writes relaxed extended JSON instead.",
    ),
    TypeRow(
        "array",
        "jsonb",
        (
            Sample("[]", [], "[]"),
            Sample('[1, "1", null, [true]]', [1, "1", None, [True]], '[1, "1", null, [true]]'),
        ),
    ),
    TypeRow(
        "regular expression",
        "jsonb",
        (Sample("/^a/i", Regex("^a", "i"), '{"$regularExpression": {"options": "i", "pattern": "^a"}}'),),
    ),
    TypeRow("code", "jsonb", (Sample("f()", Code("f()"), '{"$code": "f()"}'),)),
    TypeRow(
        "code with scope",
        "jsonb",
        (Sample("f(), {x: 1}", Code("f()", {"x": 1}), '{"$code": "f()", "$scope": {"x": 1}}'),),
    ),
    TypeRow(
        "timestamp (internal)",
        "jsonb",
        (Sample("1700000000, 1", Timestamp(1_700_000_000, 1), '{"$timestamp": {"i": 1, "t": 1700000000}}'),),
    ),
    TypeRow(
        "DBRef",
        "jsonb",
        (Sample("users, 1", DBRef("users", 1), '{"$id": 1, "$ref": "users"}'),),
    ),
    TypeRow(
        "MinKey, MaxKey",
        "jsonb",
        (Sample("MinKey", MinKey(), '{"$minKey": 1}'), Sample("MaxKey", MaxKey(), '{"$maxKey": 1}')),
    ),
    TypeRow(
        "null, or no such field",
        "the field's own",
        (Sample("null", None, None),),
        "A field that was only ever null has no column until it brings a value.",
    ),
)
