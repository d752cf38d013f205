"""Maps BSON types, as the Python types that the driver decodes them to, to column types.

=====================================  =============  ==========  =======================================
BSON                                   column type    key family  carried as
=====================================  =============  ==========  =======================================
int32, int64                           int64          number      int64; ``exact`` as the values prove
double                                 double         number      double
decimal128                             numeric        decimal     decimal literal with its scale
bool                                   bool           bool        bool
string, symbol                         text           string      string
ObjectId                               text           objectId    24 hexadecimal digits
date                                   timestamp_tz   date        milliseconds since 1970
binary, subtype 4 of 16 bytes          uuid           uuid        16 bytes
binary, other                          binary         binary:XX   bytes; XX is the subtype
object, array                          json           json        canonical JSON
regex, code, DBRef, MinKey, MaxKey,    json           json        relaxed extended JSON
timestamp, DBPointer
null, undefined                        -              json        null; as a key, text
=====================================  =============  ==========  =======================================

Of keys, the family ``json`` is text that holds relaxed extended JSON. The driver reads undefined
as null, symbols as strings and DBPointers as DBRefs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from bson import DatetimeMS, Decimal128, Int64, ObjectId
from bson.binary import Binary

from warp_resources.arrow.numbers import integers_are_exact
from warp_resources.arrow.types import arrow_type
from warp_resources.connectors.mongodb.json_text import json_texts
from warp_resources.connectors.mongodb.scalars import decimal_literal, is_uuid, milliseconds, relaxed
from warp_resources.model.batches import Variant
from warp_resources.model.tables import ColumnType, Kind

Values: TypeAlias = Sequence[Any]

BINARY_FAMILY = "binary:{:02x}".format
_HEX_DIGITS = 24


@dataclass(frozen=True, slots=True)
class Carrier:
    """How the values of one BSON type travel: ``convert`` takes n of them, or None."""

    type: ColumnType
    family: str
    convert: Callable[[Values], pa.Array]

    def variant(self, values: Values) -> Variant:
        return self.carry(self.convert(values))

    def carry(self, array: pa.Array) -> Variant:
        """A variant of values that are converted already."""
        if self.type.kind is Kind.INT64:
            return Variant(replace(self.type, exact=integers_are_exact(array)), array, self.family)
        return Variant(self.type, array, self.family)


def carrier_of(value_type: type) -> Carrier:
    """How values of a Python type travel; Binary is told apart by value, see ``binary_carrier``."""
    return _CARRIERS.get(value_type, JSON)


def binary_carrier(value: bytes) -> Carrier:
    """How a binary value travels."""
    if isinstance(value, Binary):
        return _UUID if is_uuid(value) else replace(_BINARY, family=BINARY_FAMILY(value.subtype))
    return _BINARY


def _direct(kind: Kind) -> Callable[[Values], pa.Array]:
    carrier = arrow_type(ColumnType(kind))
    return lambda values: pa.array(values, carrier, from_pandas=False)


def _spelled(kind: Kind, spell: Callable[[Any], object]) -> Callable[[Values], pa.Array]:
    carrier = arrow_type(ColumnType(kind))
    return lambda values: pa.array([None if value is None else spell(value) for value in values], carrier)


def _dates(values: Values) -> pa.Array:
    if DatetimeMS in set(map(type, values)):
        values = [None if value is None else milliseconds(value) for value in values]
        return pa.array(values, pa.int64()).view(arrow_type(_DATE.type))
    return pa.array(values, arrow_type(_DATE.type))


def _object_ids(values: Values) -> pa.Array:
    if type(None) in set(map(type, values)):
        return pa.array([None if value is None else str(value) for value in values], pa.string())
    digits = b"".join([value.binary for value in values]).hex().encode()
    offsets = np.arange(0, len(digits) + 1, _HEX_DIGITS, dtype=np.int32)
    return pa.StringArray.from_buffers(len(values), pa.py_buffer(offsets), pa.py_buffer(digits))


_BINARY = Carrier(ColumnType(Kind.BINARY), BINARY_FAMILY(0), _direct(Kind.BINARY))
_UUID = Carrier(ColumnType(Kind.UUID), "uuid", _direct(Kind.UUID))
_DATE = Carrier(ColumnType(Kind.TIMESTAMP_TZ, unit="ms"), "date", _dates)
_INTEGER = Carrier(ColumnType(Kind.INT64), "number", _direct(Kind.INT64))
JSON = Carrier(ColumnType(Kind.JSON), "json", json_texts)
EXTENDED_JSON = Carrier(ColumnType(Kind.JSON), "json", _spelled(Kind.JSON, relaxed))
# Of keys: takes texts that are relaxed extended JSON already.
KEY_JSON = Carrier(ColumnType(Kind.TEXT), "json", _direct(Kind.TEXT))

_CARRIERS: dict[type, Carrier] = {
    int: _INTEGER,
    Int64: _INTEGER,
    float: Carrier(ColumnType(Kind.DOUBLE), "number", _direct(Kind.DOUBLE)),
    Decimal128: Carrier(ColumnType(Kind.NUMERIC), "decimal", _spelled(Kind.NUMERIC, decimal_literal)),
    bool: Carrier(ColumnType(Kind.BOOL), "bool", _direct(Kind.BOOL)),
    str: Carrier(ColumnType(Kind.TEXT), "string", _direct(Kind.TEXT)),
    ObjectId: Carrier(ColumnType(Kind.TEXT), "objectId", _object_ids),
    datetime: _DATE,
    DatetimeMS: _DATE,
    bytes: _BINARY,
    Binary: _BINARY,
}
