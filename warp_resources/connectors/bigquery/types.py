"""Says which BigQuery type stores each logical column type, and which slot of a staging table carries it there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from warp_resources.arrow.numbers import numerics_as_text
from warp_resources.model.tables import Column, ColumnType, Kind

# https://cloud.google.com/bigquery/docs/reference/standard-sql/data-types#decimal_types
NUMERIC_DIGITS = (29, 9)
BIGNUMERIC_DIGITS = (38, 38)
"""How many digits a type holds before and after the point."""

SLOTS: dict[str, tuple[str, pa.DataType]] = {
    "s": ("STRING", pa.string()),
    "i": ("INT64", pa.int64()),
    "f": ("FLOAT64", pa.float64()),
    "b": ("BYTES", pa.binary()),
    "o": ("BOOL", pa.bool_()),
    "t": ("TIMESTAMP", pa.timestamp("us", "UTC")),
    "d": ("DATE", pa.date32()),
    "c": ("TIME", pa.time64("us")),
}
"""The columns that a staging table may have: by the first letter of their names, the type there and in Parquet."""

_ELEMENTS = (
    "array(select ifnull(part, json 'null') from unnest(json_query_array({})) as part with offset as place"
    " order by place)"
)
"""An array as its elements. A null is JSON's: BigQuery stores no array with a missing element."""

_NAMES = {
    Kind.BOOL: "BOOL",
    Kind.INT16: "INT64",
    Kind.INT32: "INT64",
    Kind.INT64: "INT64",
    Kind.FLOAT32: "FLOAT64",
    Kind.DOUBLE: "FLOAT64",
    Kind.TEXT: "STRING",
    Kind.BINARY: "BYTES",
    Kind.UUID: "STRING",
    Kind.TIMESTAMP_TZ: "TIMESTAMP",
    Kind.TIMESTAMP: "DATETIME",
    Kind.DATE: "DATE",
    Kind.TIME: "TIME",
    Kind.JSON: "JSON",
}


@dataclass(frozen=True, slots=True)
class Staged:
    """How a column travels through a staging table.

    ``slot``: which of ``SLOTS`` carries it. ``carried``: its values, in the carrier of ``arrow.types``, as those of
    the slot. ``value``: the SQL that makes the column's own type of the slot, with ``{}`` for the slot's name.
    """

    slot: str
    carried: Callable[[pa.Array], pa.Array]
    value: str = "{}"

    def expression(self, name: str) -> str:
        """The SQL of the value to store, from what names the slot, such as ``S.s0``."""
        return self.value.format(name)


def stored_type(column: ColumnType) -> str:
    """The type of a column, as ``INFORMATION_SCHEMA`` spells it."""
    return _numeric(column) if column.kind is Kind.NUMERIC else _NAMES[column.kind]


def declared_type(column: Column) -> str:
    """The type of a column of a table, which may be an array of what one value is stored as."""
    its = stored_type(column.type)
    return f"ARRAY<{its}>" if column.is_array else its


def no_value(column: Column) -> str:
    """The SQL of what a row without a value has in a column."""
    its = declared_type(column)
    return f"{its}[]" if column.is_array else f"cast(null as {its})"


def stored_value(column: Column, slot: str) -> str:
    """The SQL of the value to store, from what names the slot that carries it, such as ``S.s0``."""
    value = staged(column.type).expression(slot)
    return _ELEMENTS.format(value) if column.is_array else value


def staged(column: ColumnType) -> Staged:
    """How the values of a column travel to where they are stored."""
    if column.kind is Kind.NUMERIC:
        name = _numeric(column)
        # What is kept as text is kept as canonical text; a decimal column makes one value of all spellings itself.
        return Staged("s", numerics_as_text) if name == "STRING" else Staged("s", _same, f"cast({{}} as {name})")
    return _STAGED[column.kind]


def _numeric(column: ColumnType) -> str:
    scale = column.scale or 0
    whole = 0 if column.precision is None else column.precision - scale
    if whole <= NUMERIC_DIGITS[0] and scale <= NUMERIC_DIGITS[1]:
        return "NUMERIC"
    return "BIGNUMERIC" if whole <= BIGNUMERIC_DIGITS[0] and scale <= BIGNUMERIC_DIGITS[1] else "STRING"


def _same(values: pa.Array) -> pa.Array:
    return values


def _as(slot: str) -> Callable[[pa.Array], pa.Array]:
    target = SLOTS[slot][1]
    return lambda values: values if values.type == target else values.cast(target)


def _local_times(values: pa.Array) -> pa.Array:
    """Times without a zone as if they were of UTC, which BigQuery's ``datetime`` takes for granted too."""
    return values.cast(pa.timestamp("us")).view(SLOTS["t"][1])


_HEX = np.frombuffer("".join(f"{byte:02x}" for byte in range(256)).encode(), np.uint16)
_UUID_LENGTH = 36
_UUID_GROUPS = ((0, 4, 0), (4, 6, 9), (6, 8, 14), (8, 10, 19), (10, 16, 24))
"""Which bytes of a UUID are written from which character on."""


def uuid_texts(values: pa.Array) -> pa.Array:
    """UUIDs, given as 16 bytes each, as canonical text with dashes."""
    count = len(values)
    raw = np.zeros((count, 16), np.uint8)
    if count:
        filled = values.fill_null(bytes(16))
        raw = np.frombuffer(filled.buffers()[1], np.uint8)[filled.offset * 16 :][: count * 16].reshape(count, 16)
    text = np.full((count, _UUID_LENGTH), ord("-"), np.uint8)
    for first, last, start in _UUID_GROUPS:
        digits = np.ascontiguousarray(_HEX[raw[:, first:last]]).view(np.uint8).reshape(count, 2 * (last - first))
        text[:, start : start + 2 * (last - first)] = digits
    ends = np.arange(0, (count + 1) * _UUID_LENGTH, _UUID_LENGTH, dtype=np.int32)
    spelled = pa.StringArray.from_buffers(count, pa.py_buffer(ends), pa.py_buffer(text))
    return pc.if_else(values.is_valid(), spelled, None) if values.null_count else spelled


_STAGED = {
    Kind.BOOL: Staged("o", _as("o")),
    Kind.INT16: Staged("i", _as("i")),
    Kind.INT32: Staged("i", _as("i")),
    Kind.INT64: Staged("i", _as("i")),
    Kind.FLOAT32: Staged("f", _as("f")),
    Kind.DOUBLE: Staged("f", _as("f")),
    Kind.TEXT: Staged("s", _as("s")),
    Kind.BINARY: Staged("b", _as("b")),
    Kind.UUID: Staged("s", uuid_texts),
    Kind.TIMESTAMP_TZ: Staged("t", _as("t")),
    Kind.TIMESTAMP: Staged("t", _local_times, "datetime({}, 'UTC')"),
    Kind.DATE: Staged("d", _as("d")),
    Kind.TIME: Staged("c", _as("c")),
    # Without a mode, a number that JSON has no room for is refused, not rounded.
    Kind.JSON: Staged("s", _as("s"), "parse_json({})"),
}
