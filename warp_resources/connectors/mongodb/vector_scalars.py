"""Reads the values that a walk has found as Arrow arrays, exact or not at all."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from bson import Decimal128, Int64, ObjectId

from warp_resources.connectors.mongodb.types import Carrier, carrier_of
from warp_resources.connectors.mongodb.vectors import STRING, Fields, Mask, Positions, Walk

_HEX_DIGITS = 24
_BOOL, _OBJECT_ID, _DATE, _INT32, _DECIMAL = 0x08, 0x07, 0x09, 0x10, 0x13
_BIAS, _MOST_DECIMALS, _LARGEST = 6176, 6, 2**63
_EXPONENT, _COEFFICIENT_HIGH = np.uint64(0x3FFF), np.uint64(0x0001_FFFF_FFFF_FFFF)

CARRIERS: dict[int, Carrier] = {
    0x01: carrier_of(float),
    STRING: carrier_of(str),
    _OBJECT_ID: carrier_of(ObjectId),
    _BOOL: carrier_of(bool),
    _DATE: carrier_of(datetime),
    _INT32: carrier_of(int),
    0x12: carrier_of(Int64),
    _DECIMAL: carrier_of(Decimal128),
}
"""The scalars that are read here, by BSON type."""


class Unproved(Exception):
    """The vectors cannot show that these values arrive as they are; the other decoder can."""


def read_scalars(walk: Walk, fields: Fields) -> pa.Array:
    """The values of a field of a type in ``CARRIERS``.

    Raises:
        Unproved: not UTF-8.
    """
    return _READERS.get(fields.type, _numbers)(walk, fields)


def slices(walk: Walk, start: Positions, stop: Positions, is_null: Mask | None) -> pa.Array:
    """Copies of the bytes between two positions of each document, as one binary array."""
    if is_null is not None:
        stop = np.where(is_null, start, stop)
    # Every second value of an array over the whole run is a slice; those between are skipped.
    offsets = np.empty(2 * len(start) + 1, np.int32)
    offsets[0], offsets[1::2], offsets[2::2] = 0, start, stop
    whole = pa.BinaryArray.from_buffers(
        pa.binary(), len(offsets) - 1, [None, pa.py_buffer(offsets), pa.py_buffer(walk.buffer)]
    )
    return masked(whole.take(pa.array(np.arange(1, len(offsets) - 1, 2))), is_null)


def masked(array: pa.Array, is_null: Mask | None) -> pa.Array:
    """The array with nulls where the mask says so."""
    return array if is_null is None else pc.if_else(pa.array(is_null), pa.scalar(None, array.type), array)


def _numbers(walk: Walk, fields: Fields) -> pa.Array:
    form = {_INT32: "<i4", 0x01: "<f8"}.get(fields.type, "<i8")
    # Nulls have no bytes of their own: what is read in their place is masked.
    array = pa.array(walk.numbers(fields.at, form), mask=fields.is_null)
    if fields.type == _INT32:
        return array.cast(pa.int64())
    return array.view(pa.timestamp("ms", "UTC")) if fields.type == _DATE else array


def _bools(walk: Walk, fields: Fields) -> pa.Array:
    return pa.array(walk.buffer[fields.at] != 0, mask=fields.is_null)


def _object_ids(walk: Walk, fields: Fields) -> pa.Array:
    digits = walk.window(fields.at, 12).tobytes().hex().encode()
    offsets = np.arange(0, len(digits) + 1, _HEX_DIGITS, dtype=np.int32)
    array = pa.StringArray.from_buffers(len(fields.at), pa.py_buffer(offsets), pa.py_buffer(digits))
    return masked(array, fields.is_null)


def _strings(walk: Walk, fields: Fields) -> pa.Array:
    binary = slices(walk, fields.at + 4, fields.at + fields.size - 1, fields.is_null)
    try:
        # Checks that it is UTF-8.
        return binary.cast(pa.string())
    except pa.ArrowInvalid as error:
        raise Unproved from error


def _decimals(walk: Walk, fields: Fields) -> pa.Array:
    """Small coefficients of one scale as vectors; any others one by one."""
    low, high = (part.ravel() for part in np.hsplit(walk.window(fields.at, 16).view("<u8"), 2))
    scale = _BIAS - ((high >> np.uint64(49)) & _EXPONENT).astype(np.int64)
    is_negative = (high >> np.uint64(63)) == 1
    is_small = (high & _COEFFICIENT_HIGH == 0) & (low < _LARGEST) & (scale >= 0) & (scale <= _MOST_DECIMALS)
    # Combination bits 11 mark infinities, NaN and large coefficients; a negative zero keeps its sign.
    is_small &= ((high >> np.uint64(61)) & np.uint64(3) != 3) & ~(is_negative & (low == 0))
    present = slice(None) if fields.is_null is None else ~fields.is_null
    scales = np.unique(scale[present])
    if not is_small[present].all() or len(scales) > 1:
        return _decimals_one_by_one(walk, fields)
    signed = np.where(is_negative, -low.astype(np.int64), low.astype(np.int64))
    wide = np.ascontiguousarray(np.stack([signed, signed >> 63], axis=1))
    kind = pa.decimal128(38, int(scales[0]) if len(scales) else 0)
    return masked(pa.Array.from_buffers(kind, len(wide), [None, pa.py_buffer(wide)]), fields.is_null).cast(pa.string())


def _decimals_one_by_one(walk: Walk, fields: Fields) -> pa.Array:
    parts = map(bytes, walk.window(fields.at, 16))
    nulls = [False] * len(fields.at) if fields.is_null is None else fields.is_null.tolist()
    return CARRIERS[_DECIMAL].convert(
        [None if is_null else Decimal128.from_bid(part) for part, is_null in zip(parts, nulls, strict=True)]
    )


_READERS: dict[int, Callable[[Walk, Fields], pa.Array]] = {
    _BOOL: _bools,
    _OBJECT_ID: _object_ids,
    _DECIMAL: _decimals,
    STRING: _strings,
}
