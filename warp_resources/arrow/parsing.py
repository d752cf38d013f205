"""Reads canonical text as values of another type; whether the reading is faithful is for the caller to check."""

from __future__ import annotations

import base64
import binascii
import re
import uuid
from collections.abc import Callable
from functools import partial

import pyarrow as pa

from warp_resources.arrow.times import read_date, read_time, read_timestamp
from warp_resources.arrow.types import arrow_type
from warp_resources.model.tables import ColumnType, Kind

_INTEGER = re.compile(r"-?[0-9]{1,19}")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?(e[+-][0-9]{1,6})?|NaN|-?Infinity")
_BITS = {Kind.INT16: 16, Kind.INT32: 32, Kind.INT64: 64}


def parse_text(text: pa.Array, target: ColumnType) -> pa.Array:
    """What each text may mean as a value of ``target``; null where it means nothing there.

    The reading may be lax (``007`` is an integer): compare canonical texts to know what is kept.
    """
    read = _reader(target)
    values = [None if value is None else read(value) for value in text.to_pylist()]
    return pa.array(values, arrow_type(target))


def _reader(target: ColumnType) -> Callable[[str], object]:
    if target.kind in _BITS:
        return partial(_integer, bits=_BITS[target.kind])
    if target.kind in (Kind.TIMESTAMP, Kind.TIMESTAMP_TZ):
        return partial(read_timestamp, unit=target.unit or "us")
    if target.kind is Kind.NUMERIC and target.precision is not None:
        return partial(_bounded_numeric, precision=target.precision, scale=target.scale or 0)
    return _READERS.get(target.kind, str)


def _integer(text: str, bits: int) -> int | None:
    if _INTEGER.fullmatch(text) is None:
        return None
    value = int(text)
    return value if -(2 ** (bits - 1)) <= value < 2 ** (bits - 1) else None


def _double(text: str) -> float | None:
    return None if _NUMBER.fullmatch(text) is None else float(text)


def _numeric(text: str) -> str | None:
    # A minus sign on zero would be lost in the column.
    return None if _NUMBER.fullmatch(text) is None or re.match(r"-0*\.?0*(e|$)", text) else text


def _bounded_numeric(text: str, precision: int, scale: int) -> str | None:
    # The column would pad another scale with zeros or round it.
    pattern = rf"-?[0-9]{{1,{max(precision - scale, 1)}}}" + (rf"\.[0-9]{{{scale}}}" if scale else "")
    return _numeric(text) if re.fullmatch(pattern, text) else None


def _binary(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def _uuid(text: str) -> bytes | None:
    try:
        return uuid.UUID(text).bytes
    except ValueError:
        return None


_READERS: dict[Kind, Callable[[str], object]] = {
    Kind.BOOL: {"true": True, "false": False}.get,
    Kind.FLOAT32: _double,
    Kind.DOUBLE: _double,
    Kind.NUMERIC: _numeric,
    Kind.BINARY: _binary,
    Kind.UUID: _uuid,
    Kind.DATE: read_date,
    Kind.TIME: read_time,
}
