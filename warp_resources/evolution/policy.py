"""Decides what type each column of a batch must have from here on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

from warp_resources.arrow.canonical import canonical_text
from warp_resources.arrow.coerce import coerce
from warp_resources.arrow.lattice import FLOATS, TEXT, TIMESTAMPS, Fit, fit, join
from warp_resources.arrow.limits import outside_dates, outside_range, too_many_digits
from warp_resources.arrow.numbers import integers_are_exact
from warp_resources.evolution.diff import ColumnDiff
from warp_resources.model.batches import Variant
from warp_resources.model.capabilities import Capabilities
from warp_resources.model.tables import Column, ColumnType, Kind

NUMERIC = ColumnType(Kind.NUMERIC)
_DOUBLE_DIGITS = 309, 324
"""Before and after the point, of the shortest text that reads back as a double: 1.8e308 and 5e-324."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of one column of a batch.

    ``type`` is None where the field has no column yet and brings no value to make one for.
    ``family`` is of key columns. ``converted`` names the types whose values were read as another
    type (E3), and ``reason`` says why the type changes. ``is_declared``: the configuration says the type, which
    values are rounded to where they have to be.
    """

    name: str
    known: Column | None
    type: ColumnType | None
    variants: tuple[Variant, ...]
    family: str = ""
    reason: str = ""
    converted: tuple[ColumnType, ...] = ()
    is_declared: bool = False


def decide(column: ColumnDiff, capabilities: Capabilities) -> Decision:
    """The type of one column after the batch.

    A new column is the join of its variants. An established one widens where the lattice can; it
    takes unlike scalars only if each of them fits, else it becomes text. An object or array never
    changes an established scalar column.
    """
    established = None if column.known is None else column.known.type
    undecided = Decision(column.name, column.known, established, column.variants)
    if not column.variants:
        return undecided
    if established is None:
        met = reduce(join, (variant.type for variant in column.variants))
        decided = replace(undecided, type=met, reason="new field")
    else:
        decided = _established(undecided, established, capabilities)
    return replace(decided, type=TEXT, converted=()) if _loses_doubles(decided, capabilities) else decided


def _established(undecided: Decision, established: ColumnType, capabilities: Capabilities) -> Decision:
    scalars = [variant for variant in undecided.variants if fit(established, variant.type) is not Fit.DRASTIC]
    target, unlike = _widened(established, scalars)
    if not unlike:
        return replace(undecided, type=target, reason=_reason(established, scalars))
    reason = _reason(established, scalars)
    taking = _taking(target, unlike, capabilities)
    if taking is None:
        return replace(undecided, type=TEXT, reason=reason)
    return replace(undecided, type=taking, reason=reason, converted=tuple(variant.type for variant in unlike))


def _widened(established: ColumnType, variants: Sequence[Variant]) -> tuple[ColumnType, list[Variant]]:
    """The established type with the variants of its own sort, and the variants unlike it."""
    target, unlike = established, []
    for variant in variants:
        if fit(established, variant.type) is Fit.CHECKED:
            unlike.append(variant)
        else:
            target = join(target, variant.type)
    return target, unlike


def _taking(target: ColumnType, variants: Sequence[Variant], capabilities: Capabilities) -> ColumnType | None:
    """The target with its bounds, once each value of the variants has proved to fit; None if one does not."""
    for variant in variants:
        coerced = coerce(variant.values, variant.type, target)
        if coerced.rejected.true_count or is_storable(coerced.values, target, capabilities).false_count:
            return None
        if target.exact and not integers_are_exact(coerced.values):
            target = replace(target, exact=False)
    return target


def _loses_doubles(decision: Decision, capabilities: Capabilities) -> bool:
    """Whether doubles become numbers of a destination that has not as many digits.

    Of stored ones nobody knows how many they have.
    """
    if decision.type is None or decision.type.kind is not Kind.NUMERIC or _holds_doubles(capabilities):
        return False
    if decision.known is not None and decision.known.type.kind in FLOATS:
        return True
    doubles = [variant for variant in decision.variants if variant.type.kind in FLOATS]
    return any(_storable_doubles(its, capabilities).false_count for its in doubles)


def _storable_doubles(variant: Variant, capabilities: Capabilities) -> pa.Array:
    return is_storable(canonical_text(variant.values, variant.type), NUMERIC, capabilities)


def _holds_doubles(capabilities: Capabilities) -> bool:
    before, after = capabilities.numeric_digits
    return capabilities.numeric_specials and before >= _DOUBLE_DIGITS[0] and after >= _DOUBLE_DIGITS[1]


def is_storable(values: pa.Array, target: ColumnType, capabilities: Capabilities) -> pa.Array:
    """A mask of the values of a type that the destination can hold; nulls are."""
    if target.kind in TIMESTAMPS:
        return pc.invert(outside_range(values, capabilities.timestamp_range))
    if target.kind is Kind.DATE:
        return pc.invert(outside_dates(values, capabilities.date_range))
    if target.kind is Kind.NUMERIC:
        return pc.invert(too_many_digits(values, digits_of(target, capabilities), capabilities.numeric_specials))
    return pa.repeat(pa.scalar(True), len(values))


def digits_of(target: ColumnType, capabilities: Capabilities) -> tuple[int, int]:
    """The digits (before, after the point) that a column of a numeric type can hold at most."""
    declared = capabilities.declared_digits if target.precision is not None else None
    return declared or capabilities.numeric_digits


def _reason(established: ColumnType, variants: Sequence[Variant]) -> str:
    brought = sorted({str(variant.type) for variant in variants if fit(established, variant.type) is not Fit.EXACT})
    return f"{established} meets {', '.join(brought)}" if brought else ""
