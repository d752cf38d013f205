"""Gives each value of a column its canonical text, by which values are compared across types."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable

import pyarrow as pa

from warp_resources.arrow.lattice import FLOATS, TIMESTAMPS
from warp_resources.arrow.numbers import doubles_as_text, numerics_as_text
from warp_resources.arrow.times import dates_as_text, times_as_text, timestamps_as_text
from warp_resources.model.tables import ColumnType, Kind


def canonical_text(values: pa.Array, column_type: ColumnType) -> pa.Array:
    """The canonical text of each value (SPEC 5), null where the value is null.

    Args:
        values: n values in the type's Arrow carrier.

    Returns:
        n strings. Text and JSON are returned as they are.
    """
    kind = column_type.kind
    if kind in (Kind.TEXT, Kind.JSON):
        return values
    if kind is Kind.NUMERIC:
        return numerics_as_text(values)
    if kind in FLOATS:
        return doubles_as_text(values)
    if kind in TIMESTAMPS:
        return timestamps_as_text(values, column_type)
    if kind is Kind.DATE:
        return dates_as_text(values)
    if kind is Kind.TIME:
        return times_as_text(values)
    if kind is Kind.UUID:
        return _each(values, lambda value: str(uuid.UUID(bytes=value)))
    if kind is Kind.BINARY:
        return _each(values, lambda value: base64.b64encode(value).decode())
    return values.cast(pa.string())


def _each(values: pa.Array, spell: Callable[[bytes], str]) -> pa.Array:
    return pa.array([None if value is None else spell(value) for value in values.to_pylist()], pa.string())
