"""Takes fields out of a document's record, or puts text in their place."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import TypeAlias

import pyarrow as pa
from bson.errors import BSONError

from warp_resources.connectors.mongodb.decode import decode_fields
from warp_resources.connectors.mongodb.originals import raw_of, spelled
from warp_resources.connectors.mongodb.raw import Element, document, elements
from warp_resources.model.batches import Original, RawColumn, Replacements, Variant
from warp_resources.model.tables import ColumnType, Kind

_STRING, _NULLS = 0x02, (0x06, 0x0A)
_LENGTH = struct.Struct("<i")
_ByName: TypeAlias = dict[bytes, Callable[[RawColumn], str] | None]


def redacted(kept: Original, replacements: Replacements, *, extended: bool = False) -> Original:
    """The record with its top-level fields as ``replacements`` says; of one that is no BSON, the key alone."""
    try:
        raw = raw_of(kept.record, kept.encoding)
        fields = list(elements(raw))
    except (BSONError, ValueError, TypeError, KeyError, IndexError, OverflowError, RecursionError, struct.error):
        return kept.withheld()
    if document(b"".join(map(_encoded, fields))) != raw:
        # Bytes between the fields may hold anything.
        return kept.withheld()
    by_name = {name.encode(): replacement for name, replacement in replacements.items()}
    if by_name.keys().isdisjoint(field.name for field in fields):
        return kept
    changed = document(b"".join(map(_encoded, _changed(fields, by_name, extended=extended))))
    record, encoding = spelled(changed)
    return Original(record, encoding, kept.primary_key)


def _changed(fields: list[Element], by_name: _ByName, *, extended: bool) -> Iterator[Element]:
    for field in fields:
        if field.name not in by_name:
            yield field
            continue
        replace = by_name[field.name]
        if replace is not None:
            is_null = field.type in _NULLS
            text = b"" if is_null else _string(replace(_column(field, extended=extended)))
            yield field if is_null else Element(field.name, _STRING, text)


def _column(field: Element, *, extended: bool) -> RawColumn:
    columns, count = decode_fields([document(_encoded(field))], extended=extended)
    if count and columns:
        return columns[0]
    # No text can be made of it: its bytes stand for it.
    return RawColumn("", (Variant(ColumnType(Kind.BINARY), pa.array([field.value], pa.binary())),))


def _string(text: str) -> bytes:
    encoded = text.encode() + b"\0"
    return _LENGTH.pack(len(encoded)) + encoded


def _encoded(field: Element) -> bytes:
    return bytes((field.type,)) + field.name + b"\0" + field.value
