"""Estimates how many bytes a row takes in the page of a row store, never too few.

Fixed-size values lie aligned; a value of variable length lies with its length beside it, or outside the row
with a pointer in its place once it is long.

Source: https://www.postgresql.org/docs/current/storage-page-layout.html and storage-toast.html
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from warp_resources.model.tables import ColumnType, Kind

# Size and alignment of values that never leave the row.
_FIXED = {
    Kind.BOOL: (1, 1),
    Kind.INT16: (2, 2),
    Kind.INT32: (4, 4),
    Kind.FLOAT32: (4, 4),
    Kind.DATE: (4, 4),
    Kind.UUID: (16, 1),
}
_WORD = 8
_WIDEST = 24
_POINTER = 18
_HEADER = 23
# The engine's own sequence and time in each row, and what their place may shift the others by.
_OWN_COLUMNS, _OWN_BYTES = 2, 24


def may_exceed(types: Iterable[ColumnType], column_count: int, max_bytes: int) -> bool:
    """Whether rows with a value in each of these columns could be wider than a limit."""
    widest = sum(_WIDEST if _is_variable(its) else _FIXED.get(its.kind, (_WORD, _WORD))[0] + _WORD for its in types)
    return _start(column_count) + widest > max_bytes


def row_widths(columns: Sequence[tuple[ColumnType, pa.Array]], column_count: int, length: int) -> pa.Array:
    """The bytes of each of ``length`` rows, long values at the size of their pointers.

    Args:
        columns: the types and values of the columns that the rows bring.
        column_count: of the table.
    """
    ends = pa.repeat(pa.scalar(_start(column_count), pa.int64()), length)
    for its, values in columns:
        if _is_variable(its):
            size: object = _variable_sizes(its, values)
            starts = ends
        else:
            size, alignment = _FIXED.get(its.kind, (_WORD, _WORD))
            starts = _aligned(ends, alignment)
        ends = pc.if_else(values.is_valid(), pc.add(starts, size), ends)
    return _aligned(ends, _WORD)


def _is_variable(its: ColumnType) -> bool:
    return its.kind in (Kind.TEXT, Kind.JSON, Kind.NUMERIC, Kind.BINARY)


def _start(column_count: int) -> int:
    bitmap = -(-(column_count + _OWN_COLUMNS) // 8)
    return -(-(_HEADER + bitmap) // _WORD) * _WORD + _OWN_BYTES


def _aligned(ends: pa.Array, alignment: int) -> pa.Array:
    return ends if alignment == 1 else pc.bit_wise_and(pc.add(ends, alignment - 1), -alignment)


def _variable_sizes(its: ColumnType, values: pa.Array) -> pa.Array:
    if its.kind is Kind.JSON:
        # Stored in a binary form whose size the text does not tell.
        return pa.repeat(pa.scalar(_WIDEST, pa.int64()), len(values))
    inside = pc.add(pc.binary_length(values).cast(pa.int64()), 1)
    stored = pc.if_else(pc.greater(inside, _WIDEST), _POINTER, inside)
    # A number is text on its way, in a row as wide.
    return pc.max_element_wise(stored, _numeric_sizes(values)) if its.kind is Kind.NUMERIC else stored


def _numeric_sizes(literals: pa.Array) -> pa.Array:
    """Two bytes for each four digits; a point or an exponent spreads them over more groups of four."""
    groups = pc.divide(pc.add(pc.binary_length(literals).cast(pa.int64()), 3), 4)
    point = pc.match_substring(literals, ".").cast(pa.int64())
    exponent = pc.match_substring(literals, "e", ignore_case=True).cast(pa.int64())
    spread = pc.add(point, pc.multiply(exponent, 2))
    return pc.min_element_wise(pc.add(pc.multiply(pc.add(groups, spread), 2), 3), _WIDEST)
