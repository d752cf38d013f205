"""Fills a column with a batch's values in the type that was decided, setting aside what has no place."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from warp_resources.arrow.cleaning import clean_json, clean_text
from warp_resources.arrow.coerce import coerce
from warp_resources.arrow.declared import as_declared
from warp_resources.arrow.json_numbers import quote_wide_numbers
from warp_resources.arrow.lattice import Fit, fit
from warp_resources.arrow.limits import too_many_digits
from warp_resources.arrow.rows import first_valid
from warp_resources.arrow.types import arrow_type
from warp_resources.evolution.losses import (
    CHARACTER_REMOVED,
    CONVERSION,
    DRASTIC_CHANGE,
    JSON_NUMBER,
    NEGATIVE_ZERO,
    TOO_MANY_DIGITS,
    TRUNCATION,
    Loss,
    found,
)
from warp_resources.evolution.policy import Decision, digits_of, is_storable
from warp_resources.model.batches import Variant
from warp_resources.model.capabilities import Capabilities
from warp_resources.model.tables import ColumnType, Kind


@dataclass(frozen=True, slots=True)
class Filled:
    """A column's values as the destination stores them, and what was lost on the way."""

    values: pa.Array
    losses: tuple[Loss, ...]


def fill(decision: Decision, target: ColumnType, length: int, capabilities: Capabilities) -> Filled:
    """The values of all variants of a column as ``target``; null where a row has none or lost it.

    One variant that already has the type passes through without a copy.
    """
    parts: list[pa.Array] = []
    losses: list[Loss] = []
    for variant in decision.variants:
        if decision.is_declared and (variant.type.kind is not Kind.JSON or target.kind in (Kind.TEXT, Kind.JSON)):
            declared = as_declared(variant.values, variant.type, target)
            storable = is_storable(declared.values, target, capabilities)
            parts.append(pc.if_else(storable, declared.values, None) if storable.false_count else declared.values)
            losses.append(Loss(CONVERSION, pc.or_(declared.rejected, pc.invert(storable)), decision.name))
            losses.append(Loss(NEGATIVE_ZERO, declared.altered, decision.name))
            losses.append(Loss(TRUNCATION, pc.and_(declared.truncated, storable), decision.name))
            continue
        if fit(target, variant.type) is Fit.DRASTIC:
            losses.append(Loss(DRASTIC_CHANGE, variant.values.is_valid(), decision.name))
            continue
        if target.kind is Kind.JSON and variant.type.kind is Kind.NUMERIC and capabilities.wide_json_numbers:
            variant, lost = _storable_numbers(variant, decision.name, capabilities)
            losses += lost
        coerced = coerce(variant.values, variant.type, target)
        parts.append(coerced.values)
        losses.append(Loss(CONVERSION, coerced.rejected, decision.name))
        losses.append(Loss(NEGATIVE_ZERO, coerced.altered, decision.name))
    values = first_valid(parts) if parts else pa.nulls(length, arrow_type(target))
    stored = _storable(values, target, decision.name, capabilities)
    return Filled(stored.values, (*found(losses), *stored.losses))


def _storable_numbers(variant: Variant, name: str, capabilities: Capabilities) -> tuple[Variant, tuple[Loss, ...]]:
    """The numbers that fit JSON as the destination stores it, with the digits that it has for numbers."""
    stored = _storable(variant.values, variant.type, name, capabilities)
    return replace(variant, values=stored.values), stored.losses


def _storable(values: pa.Array, target: ColumnType, name: str, capabilities: Capabilities) -> Filled:
    if target.kind is Kind.NUMERIC:
        excess = too_many_digits(values, digits_of(target, capabilities), capabilities.numeric_specials)
        kept = pc.if_else(excess, None, values) if excess.true_count else values
        return Filled(kept, found([Loss(TOO_MANY_DIGITS, excess, name)]))
    if target.kind not in (Kind.TEXT, Kind.JSON):
        return Filled(values, ())
    if target.kind is Kind.JSON:
        return storable_json(values, name, capabilities)
    cleaned = clean_text(values, capabilities.refused_text)
    return Filled(cleaned.values, found([Loss(CHARACTER_REMOVED, cleaned.changed, name)]))


def storable_json(values: pa.Array, name: str, capabilities: Capabilities) -> Filled:
    """JSON without the characters and the numbers that the destination has not: such numbers become strings."""
    cleaned = clean_json(values, capabilities.refused_text)
    losses = [Loss(CHARACTER_REMOVED, cleaned.changed, name)]
    if not capabilities.wide_json_numbers:
        cleaned = quote_wide_numbers(cleaned.values)
        losses.append(Loss(JSON_NUMBER, cleaned.changed, name))
    return Filled(cleaned.values, found(losses))
