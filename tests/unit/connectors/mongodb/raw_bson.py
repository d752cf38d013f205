"""Builds raw BSON that the driver would not write: duplicate fields, invalid UTF-8, retired types."""

from __future__ import annotations

import struct

import bson


def field(kind: int, name: bytes, value: bytes) -> bytes:
    return bytes((kind,)) + name + b"\0" + value


def text(value: bytes) -> bytes:
    return struct.pack("<i", len(value) + 1) + value + b"\0"


def int32(value: int) -> bytes:
    return struct.pack("<i", value)


def document(*fields: bytes) -> bytes:
    body = b"".join(fields)
    return struct.pack("<i", len(body) + 5) + body + b"\0"


def key(value: object) -> bytes:
    """The field ``_id`` with a value."""
    return bson.encode({"_id": value})[4:-1]
