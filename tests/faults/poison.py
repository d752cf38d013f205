"""The ugliest values, keys and names that a MongoDB takes."""

from __future__ import annotations

from typing import Any

import bson
from bson import Binary, Code, DatetimeMS, DBRef, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from bson.raw_bson import RawBSONDocument

Document = dict[str, Any]


def nested(levels: int) -> Document:
    document: Document = {"end": 1.5}
    for _ in range(levels):
        document = {"in": document}
    return document


VALUES: list[Any] = [
    float("nan"), float("inf"), float("-inf"), -0.0, 5e-324, 1.7976931348623157e308, 0.1, 2**31, Int64(2**63 - 1),
    Int64(-(2**63)), Int64(2**53 + 1), True, None, "", "nul\0here", "\u2028\ufeff\U0001f4a5", "NaN", "0123",
    "x" * 100_000,
    Decimal128("1E+6000"), Decimal128("1E-6000"), Decimal128("NaN"), Decimal128("-Infinity"), Decimal128("-0.00"),
    DatetimeMS(-62_167_219_200_000), DatetimeMS(2**63 - 1), DatetimeMS(-(2**63)), DatetimeMS(0),
    b"", Binary(b"\0" * 16, 4), Binary(b"short", 4), Binary(b"any", 128), ObjectId("65a0b1c2d3e4f5a6b7c8d9e0"),
    Regex("^a/b", "ix"), Code("f()"), Code("f()", {"x": 1}), Timestamp(2**32 - 1, 1), MinKey(), MaxKey(), DBRef("a", 1),
    {}, [], {"": {"": [None, float("nan")]}, "a.b": 1, "$c": "nul\0in"}, [[[]], {"x": Decimal128("1E+6000")}],
    nested(98),
]  # fmt: skip
NAMES = [
    "v",
    "",
    "a.b",
    "$c",
    "V",
    "v ",
    "select",
    'quo"te',
    "\U0001f4a5",
    "x" * 70,
    "x" * 69 + "y",
    "_warp_sequence",
    "_id2",
]
ODD = [
    '"; drop table users; --',
    "Users",
    "users ",
    "select",
    "\U0001f4a5",
    "x" * 70,
    "x" * 69 + "y",
    "_warp_meta",
    "a.b.c",
]
"""Of collections."""
KEYS: list[Any] = [
    "k", "K", "", "nul\0key", "k" * 9_000, 1, Int64(2**62), 1.5, float("nan"), Decimal128("0.1"), True, ObjectId(),
    DatetimeMS(2**62), Binary(b"k", 4), {"a": [1, {"b": None}]}, None, MinKey(), Timestamp(1, 2),
]  # fmt: skip


def raw(key: str) -> RawBSONDocument:
    """A document of texts that no driver would write."""
    body = bson.encode({"_id": key})[4:-1]
    for name, text in RAW[key]:
        body += b"\x02" + name + b"\0" + (len(text) + 1).to_bytes(4, "little") + text + b"\0"
    return RawBSONDocument((len(body) + 5).to_bytes(4, "little") + body + b"\0")


RAW = {
    "invalid UTF-8": [(b"v", b"\xff\xfe")],
    "lone surrogate": [(b"v", b"\xed\xa0\x80")],
    "doubled field": [(b"v", b"one"), (b"v", b"two")],
    "name not UTF-8": [(b"\xff", b"one")],
}


def poison() -> list[Document]:
    """Each value in one column, by turns in one of an odd name; then the keys."""
    made = [{"_id": f"value {number}", "v": value, "n": number} for number, value in enumerate(VALUES)]
    made += [{"_id": f"name {number}", name: number} for number, name in enumerate(NAMES)]
    return made + [{"_id": key, "n": number} for number, key in enumerate(KEYS)]
