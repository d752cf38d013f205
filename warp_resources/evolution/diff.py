"""Sets what a batch brings beside what the table has, column by column, with the bounds of its values."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from warp_resources.arrow.canonical import canonical_text
from warp_resources.arrow.lattice import FLOATS, INTEGERS, TEXT, TIMESTAMPS, is_exact
from warp_resources.arrow.limits import outside_dates, outside_range, too_many_digits
from warp_resources.arrow.numbers import integers_are_exact
from warp_resources.evolution.names import OVERFLOW_COLUMN
from warp_resources.model.batches import RawColumn, Variant
from warp_resources.model.capabilities import Capabilities
from warp_resources.model.tables import Column, ColumnType, Kind, TableSchema


@dataclass(frozen=True, slots=True)
class ColumnDiff:
    """A field of a batch: its column, None where it is new, and its variants that hold any value."""

    name: str
    known: Column | None
    variants: tuple[Variant, ...]


def diff(
    known: TableSchema, columns: Iterable[RawColumn], capabilities: Capabilities, declared: Collection[str] = ()
) -> tuple[ColumnDiff, ...]:
    """Each incoming column beside the known one of its name.

    Timestamps, dates and, unless the column is JSON or ``declared`` to have a type, numbers that the destination
    cannot hold become a text variant of their own.
    """
    # The overflow column is no field's, whatever it is called.
    by_name = {column.name: column for column in known.columns if column.stored != OVERFLOW_COLUMN}
    return tuple(_diff_column(by_name.get(raw.name), raw, capabilities, raw.name in declared) for raw in columns)


def _diff_column(known: Column | None, raw: RawColumn, capabilities: Capabilities, is_declared: bool) -> ColumnDiff:
    live = live_variants(raw, known)
    types = [variant.type for variant in live] if known is None else [known.type]
    keeps_numbers = is_declared or any(its.kind is Kind.JSON for its in types)
    stored = [part for variant in live for part in _storable(variant, capabilities, keeps_numbers)]
    return ColumnDiff(raw.name, known, tuple(stored))


def live_variants(
    raw: RawColumn, known: Column | None, are_exact: Callable[[pa.Array], bool] = integers_are_exact
) -> tuple[Variant, ...]:
    """The variants that hold any value, with ``exact`` proved of integers where the known column leaves it open.

    Args:
        are_exact: whether integers are exact in a double; of keys that means their value, not their text.
    """
    return tuple(_bounded(variant, known, are_exact) for variant in raw.variants if _has_values(variant))


def _bounded(variant: Variant, known: Column | None, are_exact: Callable[[pa.Array], bool]) -> Variant:
    if variant.type.kind not in INTEGERS:
        return variant
    exact = is_exact(ColumnType(variant.type.kind)) or (_may_be_exact(known) and are_exact(variant.values))
    return variant if variant.type.exact == exact else replace(variant, type=replace(variant.type, exact=exact))


def _may_be_exact(known: Column | None) -> bool:
    return known is None or known.type.kind in FLOATS or is_exact(known.type)


def _has_values(variant: Variant) -> bool:
    return bool(variant.values.null_count < len(variant.values))


def _storable(variant: Variant, capabilities: Capabilities, keeps_numbers: bool) -> list[Variant]:
    if variant.type.kind in TIMESTAMPS:
        outside = outside_range(variant.values, capabilities.timestamp_range)
    elif variant.type.kind is Kind.DATE:
        outside = outside_dates(variant.values, capabilities.date_range)
    elif variant.type.kind is Kind.NUMERIC and not keeps_numbers:
        outside = too_many_digits(variant.values, capabilities.numeric_digits, capabilities.numeric_specials)
    else:
        return [variant]
    if not outside.true_count:
        return [variant]
    spelled = pc.if_else(outside, canonical_text(variant.values, variant.type), None)
    rest = replace(variant, values=pc.if_else(outside, None, variant.values))
    parts = [Variant(TEXT, spelled), rest]
    return [part for part in parts if _has_values(part)]
