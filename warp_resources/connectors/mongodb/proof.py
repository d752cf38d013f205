"""Proves by their size that documents were decoded without losing a field.

The driver keeps the last of several fields of one name and says nothing; such a document then
encodes to fewer bytes than it came in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import bson
from bson import DatetimeMS, Decimal128, Int64, MaxKey, MinKey, ObjectId, Timestamp

from warp_resources.connectors.mongodb.columns import Field, Transposed

_DOCUMENT_BYTES, _ELEMENT_BYTES, _TEXT_BYTES, _BINARY_BYTES = 5, 2, 5, 5
_FIXED: dict[type, int] = {
    type(None): 0,
    MinKey: 0,
    MaxKey: 0,
    bool: 1,
    int: 4,
    Int64: 8,
    float: 8,
    datetime: 8,
    DatetimeMS: 8,
    Timestamp: 8,
    ObjectId: 12,
    Decimal128: 16,
}


def encoded_size(documents: Transposed) -> int:
    """The bytes that decoded documents take as BSON."""
    names = sum(
        count * (_DOCUMENT_BYTES + sum(len(name.encode()) + _ELEMENT_BYTES for name in shape))
        for shape, count in documents.shapes.items()
    )
    return names + sum(map(field_size, documents.fields))


def field_size(field: Field) -> int:
    """The bytes that the values of a field take as BSON, without their names and types."""
    if len(field.types) == 1:
        (value_type,) = field.types
        return _size(value_type, len(field.values), field.values)
    counts = Counter(map(type, field.values))
    return sum(
        _size(value_type, count, (value for value in field.values if type(value) is value_type))
        for value_type, count in counts.items()
    )


def _size(value_type: type, count: int, values: Iterable[Any]) -> int:
    fixed = _FIXED.get(value_type)
    if fixed is not None:
        return fixed * count
    if value_type is str:
        return _TEXT_BYTES * count + len("".join(values).encode())
    if value_type is bytes:
        return _BINARY_BYTES * count + sum(map(len, values))
    indexes = sum(len(str(index)) for index in range(count))
    encoded = bson.encode({"": list(values)})
    return len(encoded) - 2 * _DOCUMENT_BYTES - _ELEMENT_BYTES - indexes - _ELEMENT_BYTES * count
