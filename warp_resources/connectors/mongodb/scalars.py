"""Spells single BSON values."""

from __future__ import annotations

import base64
import struct
import uuid
from datetime import datetime, timedelta
from typing import Any

from bson import DatetimeMS, Decimal128, json_util
from bson.binary import UUID_SUBTYPE, Binary

from warp_resources.arrow.times import timestamp_text

_EPOCH, _MILLISECOND = datetime(1970, 1, 1), timedelta(milliseconds=1)
_UUID_BYTES = 16
_HALVES = struct.Struct("<QQ")
_EXPONENT_BIAS, _LARGEST_COEFFICIENT, _MOST_DECIMALS = 6176, 10**34 - 1, 6


def milliseconds(value: datetime | DatetimeMS) -> int:
    """A date as BSON has it; the driver's datetimes are naive and in UTC."""
    return int(value) if isinstance(value, DatetimeMS) else (value - _EPOCH) // _MILLISECOND


def date_text(value: datetime | DatetimeMS) -> str:
    """A date's canonical text."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds") + "Z"
    return timestamp_text(int(value), unit="ms", has_zone=True)


def is_uuid(value: bytes) -> bool:
    return isinstance(value, Binary) and value.subtype == UUID_SUBTYPE and len(value) == _UUID_BYTES


def binary_text(value: bytes) -> str:
    """A binary's canonical text: a UUID with dashes, all others in base64."""
    return str(uuid.UUID(bytes=bytes(value))) if is_uuid(value) else base64.b64encode(value).decode()


def decimal_literal(value: Decimal128) -> str:
    """A decimal literal that keeps the scale; NaNs, whatever their sign and payload, are ``NaN``.

    Source: the binary integer format of IEEE 754-2008 decimal128, as in the BSON specification.
    """
    low, high = _HALVES.unpack(value.bid)
    if high >> 61 & 0b11 != 0b11:
        coefficient = (high & 0x1_FFFF_FFFF_FFFF) << 64 | low
        decimals = _EXPONENT_BIAS - (high >> 49 & 0x3FFF)
        digits = str(coefficient)
        if coefficient <= _LARGEST_COEFFICIENT and 0 <= decimals < len(digits) + _MOST_DECIMALS:
            digits = digits.rjust(decimals + 1, "0")
            text = f"{digits[:-decimals]}.{digits[-decimals:]}" if decimals else digits
            return f"-{text}" if high >> 63 else text
    text = str(value)
    return "NaN" if "NaN" in text else text


def relaxed(value: Any) -> str:
    """Any BSON value as relaxed extended JSON."""
    return json_util.dumps(value, json_options=json_util.RELAXED_JSON_OPTIONS)
