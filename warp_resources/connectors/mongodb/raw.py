"""Walks raw BSON: where each document and element begins, without decoding any value.

Source: the BSON specification 1.1, https://bsonspec.org/spec.html
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

KEY = "_id"
"""The field that is the key of every document."""

_KEY_NAME = b"_id\0"
_LENGTH = struct.Struct("<i")
DOCUMENT, ARRAY, _REGEX, _CODE_WITH_SCOPE = 0x03, 0x04, 0x0B, 0x0F
_FIXED = {
    0x01: 8,  # double
    0x06: 0,  # undefined
    0x07: 12,  # ObjectId
    0x08: 1,  # bool
    0x09: 8,  # date
    0x0A: 0,  # null
    0x10: 4,  # int32
    0x11: 8,  # timestamp
    0x12: 8,  # int64
    0x13: 16,  # Decimal128
    0x7F: 0,  # MaxKey
    0xFF: 0,  # MinKey
}
# Values that begin with a length, and the bytes that they have beyond it.
_PREFIXED = {
    0x02: 4,  # string
    0x03: 0,  # document
    0x04: 0,  # array
    0x05: 5,  # binary
    0x0C: 16,  # DBPointer
    0x0D: 4,  # code
    0x0E: 4,  # symbol
    0x0F: 0,  # code with scope
}


class MalformedDocument(ValueError):
    """The bytes are not BSON."""


@dataclass(frozen=True, slots=True)
class Element:
    """One field of a document: its name, and its value as the type's byte and the value's bytes."""

    name: bytes
    type: int
    value: bytes

    def named(self, name: str) -> bytes:
        """A document with this value as its only field."""
        return document(bytes((self.type,)) + name.encode() + b"\0" + self.value)


def document(elements: bytes) -> bytes:
    """A document of the elements, which are encoded already."""
    return _LENGTH.pack(len(elements) + 5) + elements + b"\0"


def array_documents(array: bytes) -> list[bytes]:
    """The documents of an array of nothing else."""
    # A reply's array may hold 100,000 documents: this loop does no more than it must. Their names are
    # their indexes, so that it is known how long each is.
    documents: list[bytes] = []
    position, end = 4, len(array) - 1
    append, unpack = documents.append, _LENGTH.unpack_from
    for digits in range(1, 9 if position < end else 1):
        for _ in range(9 * 10 ** (digits - 1) + (digits == 1)):
            start = position + digits + 2
            position = start + unpack(array, start)[0]
            append(array[start:position])
            if not start < position < end:
                break
        else:
            continue
        break
    if position != max(4, end):
        raise MalformedDocument("an array's indexes are not 0, 1, 2 and so on")
    return documents


def elements(raw: bytes) -> Iterator[Element]:
    """The fields of a document, in order, duplicates included."""
    position, end = 4, len(raw) - 1
    while position < end:
        start = raw.index(0, position + 1) + 1
        stop = start + _size(raw, raw[position], start)
        yield Element(raw[position + 1 : start - 1], raw[position], raw[start:stop])
        position = stop


def values(raw: bytes, start: int = 4) -> dict[bytes, bytes]:
    """The bytes of each field's value by its name, from the field at ``start``; of duplicates, the last."""
    # Runs once per change event: no generator, no Element, few calls.
    found: dict[bytes, bytes] = {}
    position, end = start, len(raw) - 1
    find, fixed, prefixed, unpack = raw.index, _FIXED.get, _PREFIXED.get, _LENGTH.unpack_from
    while position < end:
        kind, start = raw[position], find(0, position + 1) + 1
        extra = prefixed(kind)
        size = fixed(kind) if extra is None else unpack(raw, start)[0] + extra
        stop = start + (_size(raw, kind, start) if size is None else size)
        found[raw[position + 1 : start - 1]] = raw[start:stop]
        position = stop
    return found


def array_of(items: Sequence[Element]) -> bytes:
    """An array of values, as its bytes."""
    return document(b"".join(b"%c%d\0%b" % (item.type, index, item.value) for index, item in enumerate(items)))


def element(raw: bytes, name: str) -> Element | None:
    """The last field of that name, which is the one that MongoDB's drivers read."""
    wanted, found = name.encode(), None
    for candidate in elements(raw):
        if candidate.name == wanted:
            found = candidate
    return found


def key_of(raw: bytes) -> Element | None:
    """The key of a document."""
    # Nearly always the first field, and of a deleted document the only one.
    if raw[5:9] == _KEY_NAME and raw.find(_KEY_NAME, 9) < 0:
        return Element(b"_id", raw[4], raw[9 : 9 + _size(raw, raw[4], 9)])
    return element(raw, KEY)


def has_duplicate_fields(raw: bytes) -> bool:
    """Whether a field name occurs twice in the document or in a document within it."""
    names: set[bytes] = set()
    for field in elements(raw):
        if field.name in names or any(map(has_duplicate_fields, _inner(field))):
            return True
        names.add(field.name)
    return False


def _inner(field: Element) -> Sequence[bytes]:
    if field.type in (DOCUMENT, ARRAY):
        return (field.value,)
    if field.type == _CODE_WITH_SCOPE:
        return (field.value[8 + _length(field.value, 4) :],)
    return ()


def _size(raw: bytes, kind: int, start: int) -> int:
    fixed = _FIXED.get(kind)
    if fixed is not None:
        return fixed
    extra = _PREFIXED.get(kind)
    if extra is not None:
        return _length(raw, start) + extra
    if kind == _REGEX:
        return raw.index(0, raw.index(0, start) + 1) + 1 - start
    raise MalformedDocument(f"BSON has no type {kind:#04x}")


def _length(raw: bytes, start: int) -> int:
    length: int = _LENGTH.unpack_from(raw, start)[0]
    if length < 0 or start + length > len(raw):
        raise MalformedDocument("a length reaches beyond the document")
    return length
