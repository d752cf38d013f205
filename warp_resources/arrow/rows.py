"""Treats the few rows that a vectorised kernel cannot, leaving the rest of the array alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc


def replace_rows(values: pa.Array, mask: pa.Array, source: pa.Array, function: Callable[[Any], object]) -> pa.Array:
    """``values`` with ``function(source[i])`` at each row i that ``mask`` marks.

    Args:
        values: n values.
        mask: n booleans; null counts as false.
        source: n values that Python can read, valid wherever the mask is true.
    """
    mask = claims(mask)
    if not mask.true_count:
        return values
    changed = [function(value) for value in source.filter(mask).to_pylist()]
    return pc.replace_with_mask(values, mask, pa.array(changed, values.type))


def claims(mask: pa.Array) -> pa.Array:
    """The mask with null read as false."""
    return mask.fill_null(False) if mask.null_count else mask


def row_numbers(mask: pa.Array) -> list[int]:
    """The rows that a mask marks, in order."""
    numbers: list[int] = pc.indices_nonzero(mask).to_pylist()
    return numbers


def no_rows(length: int) -> pa.Array:
    """A mask of ``length`` rows that marks none."""
    return pa.repeat(pa.scalar(False), length)


def first_valid(arrays: list[pa.Array]) -> pa.Array:
    """Row by row, the first value that is not null."""
    return arrays[0] if len(arrays) == 1 else pc.coalesce(*arrays)
