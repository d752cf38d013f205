"""The canonical text (SPEC 5) of what BigQuery's columns hold: the text of a value once its column becomes text."""

from __future__ import annotations

import uuid

from tests.type_tables.postgresql_types import DOUBLES
from warp_resources.model.tables import ColumnType, Kind

# By hand from SPEC 5. Decimals have no scale of their own here: 1.10 is 1.1.
NUMERICS: list[tuple[str, str]] = [
    ("1.10", "1.1"),
    ("3.0", "3"),
    ("0.00", "0"),
    ("-5", "-5"),
    ("100", "100"),
    ("99999999999999999999999999999.999999999", "99999999999999999999999999999.999999999"),
    ("-99999999999999999999999999999.999999999", "-99999999999999999999999999999.999999999"),
    ("1000000000000000000000", "1e+21"),
    ("-12345678901234567890123400000", "-1.23456789012345678901234e+28"),
    ("999999999999999999999", "999999999999999999999"),
    ("0.000001", "0.000001"),
    ("0.00000012", "1.2e-7"),
    ("-0.000000001", "-1e-9"),
    ("1E+20", "100000000000000000000"),
    ("1E-9", "1e-9"),
]
MS, US = ColumnType(Kind.TIMESTAMP_TZ, unit="ms"), ColumnType(Kind.TIMESTAMP_TZ, unit="us")
_DIGITS = "12345678901234567890123456789012345678901234567890"
TEXTS: list[tuple[ColumnType, list[tuple[object, str]]]] = [
    (ColumnType(Kind.BOOL), [(True, "true"), (False, "false")]),
    (ColumnType(Kind.INT16), [(-(2**15), "-32768"), (2**15 - 1, "32767")]),
    (ColumnType(Kind.INT32), [(-(2**31), "-2147483648"), (2**31 - 1, "2147483647")]),
    (ColumnType(Kind.INT64), [(-(2**63), "-9223372036854775808"), (0, "0"), (2**63 - 1, "9223372036854775807")]),
    (
        ColumnType(Kind.FLOAT32),
        [(0.1, "0.10000000149011612"), (3.0, "3"), (-0.0, "-0"), (3.4028234663852886e38, "3.4028234663852886e+38")],
    ),
    (ColumnType(Kind.DOUBLE), [*DOUBLES, (2.0**-44, "5.684341886080802e-14"), (2.0**-1022, "2.2250738585072014e-308")]),
    (ColumnType(Kind.NUMERIC), [*NUMERICS]),
    (
        ColumnType(Kind.NUMERIC, precision=38, scale=18),
        [("12345678901234567890.123456789012345678", "12345678901234567890.123456789012345678"), ("1.50", "1.5")],
    ),
    (
        ColumnType(Kind.NUMERIC, precision=60, scale=0),
        [(_DIGITS, "1.234567890123456789012345678901234567890123456789e+49"), ("1.50", "1.50"), ("1E-40", "1e-40")],
    ),
    (ColumnType(Kind.TEXT), [("", ""), ("é😀\n'\"\\", "é😀\n'\"\\"), ("\x00", "\x00"), ("null", "null")]),
    (ColumnType(Kind.BINARY), [(b"", ""), (b"\x00\xff", "AP8="), (bytes(100), "A" * 134 + "==")]),
    (ColumnType(Kind.UUID), [(uuid.UUID(int=2**128 - 2).bytes, "ffffffff-ffff-ffff-ffff-fffffffffffe")]),
    (
        MS,
        [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
            (-62_135_596_800_000, "0001-01-01T00:00:00.000Z"),
        ],
    ),
    (
        US,
        [
            (0, "1970-01-01T00:00:00Z"),
            (500_000, "1970-01-01T00:00:00.500000Z"),
            (253_402_300_799_999_999, "9999-12-31T23:59:59.999999Z"),
        ],
    ),
    (
        ColumnType(Kind.TIMESTAMP, unit="us"),
        [
            (0, "1970-01-01T00:00:00"),
            (1, "1970-01-01T00:00:00.000001"),
            (-62_135_596_800_000_000, "0001-01-01T00:00:00"),
            (253_402_300_799_999_999, "9999-12-31T23:59:59.999999"),
        ],
    ),
    (ColumnType(Kind.TIMESTAMP, unit="ms"), [(1, "1970-01-01T00:00:00.001")]),
    (ColumnType(Kind.DATE), [(0, "1970-01-01"), (-719_162, "0001-01-01"), (2_932_896, "9999-12-31")]),
    (ColumnType(Kind.TIME), [(0, "00:00:00"), (500_000, "00:00:00.500000"), (86_399_999_999, "23:59:59.999999")]),
    (
        ColumnType(Kind.JSON),
        [("{}", "{}"), ('{"a":[1,null,"é\\n"]}', '{"a":[1,null,"é\\n"]}'), ('"text"', '"text"'), ("1.5", "1.5")],
    ),
]
