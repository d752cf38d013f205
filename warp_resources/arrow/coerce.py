"""Carries values from one column type to another, with a verdict per value."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from warp_resources.arrow.canonical import canonical_text
from warp_resources.arrow.json import canonical_json
from warp_resources.arrow.lattice import FLOATS, INTEGERS, NUMBERS, TIMESTAMPS
from warp_resources.arrow.numbers import negative_zeros
from warp_resources.arrow.parsing import parse_text
from warp_resources.arrow.rows import claims, no_rows
from warp_resources.arrow.types import arrow_type
from warp_resources.model.tables import ColumnType, Kind


@dataclass(frozen=True, slots=True)
class Coerced:
    """Values of the target type, with the rows that did not come through unchanged.

    ``rejected``: null in ``values`` because the target cannot hold the value.
    ``altered``: a zero that lost its minus sign, which numeric and JSON columns do not have.
    """

    values: pa.Array
    rejected: pa.Array
    altered: pa.Array


def coerce(values: pa.Array, source: ColumnType, target: ColumnType) -> Coerced:
    """Values of type ``source`` as values of type ``target``.

    A value comes through only where the result's canonical text is the original's.

    Args:
        values: n values in the carrier of ``source``.

    Returns:
        n values in the carrier of ``target``, with masks of n booleans.
    """
    if target.kind is Kind.NUMERIC and source.kind in NUMBERS:
        return _to_numeric(values, source)
    if target.kind is Kind.JSON and source.kind is not Kind.JSON:
        return _to_json(values, source)
    if target.kind is Kind.TEXT:
        return _unchanged(canonical_text(values, source))
    if source.kind is target.kind and (source.kind not in TIMESTAMPS or source.unit == target.unit):
        return _unchanged(_carried(values, target))
    if source.kind is target.kind:
        return _checked_unit(values, target)
    if _is_widening(source.kind, target.kind):
        return _unchanged(values.cast(arrow_type(target)))
    return _checked(values, source, target)


def _carried(values: pa.Array, target: ColumnType) -> pa.Array:
    carrier = arrow_type(target)
    return values if values.type == carrier else values.cast(carrier)


def _unchanged(values: pa.Array) -> Coerced:
    return Coerced(values, no_rows(len(values)), no_rows(len(values)))


def _is_widening(source: Kind, target: Kind) -> bool:
    order = INTEGERS if source in INTEGERS else FLOATS
    return source in order and target in order and order.index(source) <= order.index(target)


def _to_numeric(values: pa.Array, source: ColumnType) -> Coerced:
    literals = values if source.kind is Kind.NUMERIC else canonical_text(values, source)
    altered = negative_zeros(literals)
    if altered.true_count:
        unsigned = pc.utf8_slice_codeunits(literals, 1)
        literals = pc.if_else(altered, unsigned, literals)
    return Coerced(literals, no_rows(len(values)), altered)


def _to_json(values: pa.Array, source: ColumnType) -> Coerced:
    altered = no_rows(len(values))
    if source.kind in (Kind.NUMERIC, *FLOATS):
        coerced = _to_numeric(values, source)
        values, source, altered = coerced.values, ColumnType(Kind.NUMERIC), coerced.altered
    return Coerced(canonical_json(values, source), no_rows(len(values)), altered)


def _checked_unit(values: pa.Array, target: ColumnType) -> Coerced:
    # An unsafe cast may overflow or cut digits; casting back shows where.
    carrier = arrow_type(target)
    converted = values.cast(carrier, safe=False)
    kept = claims(pc.equal(converted.cast(values.type, safe=False).view(pa.int64()), values.view(pa.int64())))
    return _kept_only(converted, kept, values)


def _checked(values: pa.Array, source: ColumnType, target: ColumnType) -> Coerced:
    original = canonical_text(values, source)
    parsed = parse_text(original, target)
    kept = claims(pc.equal(canonical_text(parsed, target), original))
    return _kept_only(parsed, kept, values)


def _kept_only(converted: pa.Array, kept: pa.Array, values: pa.Array) -> Coerced:
    rejected = pc.and_(values.is_valid(), pc.invert(kept))
    return Coerced(pc.if_else(kept, converted, None), rejected, no_rows(len(values)))
