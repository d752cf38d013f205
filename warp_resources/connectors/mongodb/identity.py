"""Tells whether two keys are one, which they are exactly when they are stored as one."""

from __future__ import annotations

import struct
from collections.abc import Hashable
from functools import lru_cache

import bson
from bson import Decimal128
from bson.errors import InvalidBSON

from warp_resources.arrow.number_keys import decimal_key, double_key
from warp_resources.connectors.mongodb.codec import CODEC
from warp_resources.connectors.mongodb.decode import key_text
from warp_resources.connectors.mongodb.raw import DOCUMENT, KEY, Element, has_duplicate_fields, key_of
from warp_resources.connectors.mongodb.scalars import decimal_literal, relaxed

_DOUBLE, _STRING, _BINARY, _OBJECT_ID, _DATE, _INT32, _SYMBOL, _INT64, _DECIMAL = 1, 2, 5, 7, 9, 0x10, 0x0E, 0x12, 0x13
_SUBTYPE_AT, _OLD_BINARY = 4, 2
_LARGEST_PLAIN = 2.0**53
_number = struct.Struct("<d").unpack


def identity_of(key: Element) -> Hashable:
    """A value that is equal for keys that ``decode.key_text`` spells alike, at less than its cost."""
    kind, value = key.type, key.value
    if kind in (_OBJECT_ID, _STRING, _DATE):
        return b"%c%b" % (kind, value)
    if kind in (_INT32, _INT64):
        return int.from_bytes(value, "little", signed=True)
    if kind == _SYMBOL:
        # Stored as the string that it is.
        return b"%c%b" % (_STRING, value)
    if kind == _BINARY and value[_SUBTYPE_AT] != _OLD_BINARY:
        return b"%c%b" % (kind, value)
    if kind == _DOUBLE:
        return _double(_number(value)[0])
    if kind == _DECIMAL:
        return _spelled_number(decimal_key(decimal_literal(Decimal128.from_bid(value))))
    return _document(value) if kind == DOCUMENT else _spelled(kind, value)


def document_identity(raw: bytes) -> Hashable:
    """The identity of a document's key, None where it has none."""
    key = key_of(raw)
    return None if key is None else identity_of(key)


def _double(number: float) -> Hashable:
    if -_LARGEST_PLAIN <= number <= _LARGEST_PLAIN and number.is_integer():
        return int(number)
    return _spelled_number(double_key(number))


def _spelled_number(spelled: str) -> Hashable:
    return int(spelled) if spelled.removeprefix("-").isdigit() else spelled


def _document(value: bytes) -> Hashable:
    try:
        # Of two fields of one name the driver keeps the last: such a key has no text.
        if not has_duplicate_fields(value):
            return relaxed(bson.decode(value, CODEC))
    except (InvalidBSON, ValueError):
        pass
    return b"%c%b" % (DOCUMENT, value)


@lru_cache(maxsize=4096)
def _spelled(kind: int, value: bytes) -> Hashable:
    element = Element(KEY.encode(), kind, value)
    return key_text(element.named(KEY)) or b"%c%b" % (kind, value)
