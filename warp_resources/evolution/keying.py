"""Settles the key columns of a batch, for its rows and its deletes, and finds the keys that cannot be stored."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from warp_resources.arrow.cleaning import containing
from warp_resources.arrow.keys import KeyType, compound, key_texts, key_type, key_values
from warp_resources.arrow.lattice import TIMESTAMPS
from warp_resources.arrow.limits import longer_than, outside_dates, outside_range, too_many_digits
from warp_resources.arrow.number_keys import integers_are_doubles
from warp_resources.evolution.diff import live_variants
from warp_resources.evolution.losses import (
    KEY_MISSING,
    KEY_TOO_LONG,
    KEY_UNSTORABLE,
    NEGATIVE_ZERO,
    Loss,
    each_row_once,
    found,
)
from warp_resources.evolution.policy import Decision
from warp_resources.model.batches import RawColumn, TableBatch, Variant
from warp_resources.model.capabilities import Capabilities
from warp_resources.model.tables import Kind, TableSchema


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of some rows: per key column the variants as read, and the values as stored.

    ``stored`` lacks a column whose type nobody knows yet, for want of any key.
    """

    length: int
    variants: dict[str, tuple[Variant, ...]]
    stored: dict[str, pa.Array]
    losses: tuple[Loss, ...] = ()

    def texts(self) -> pa.Array:
        """Each row's key as text (``arrow.keys``)."""
        return compound([key_texts(variants, self.length) for variants in self.variants.values()])

    def only(self, keep: pa.Array) -> Keys:
        """The keys of the rows that a mask marks."""
        return Keys(
            length=keep.true_count,
            variants={name: only(variants, keep) for name, variants in self.variants.items()},
            stored={name: values.filter(keep) for name, values in self.stored.items()},
            losses=found(Loss(loss.reason, loss.rows.filter(keep), loss.column) for loss in self.losses),
        )


@dataclass(frozen=True, slots=True)
class SettledKeys:
    """What the key columns become, and the batch's keys in them."""

    decisions: dict[str, Decision]
    rows: Keys
    deletes: Keys


def settle_keys(batch: TableBatch, basis: TableSchema) -> SettledKeys:
    """The key columns that hold the known keys, those of the batch's rows and those of its deletes."""
    rows = {name: _live(batch.columns, name, basis) for name in batch.key}
    deletes = {name: _live(batch.deletes, name, basis) for name in batch.key}
    types = {name: key_type((*rows[name], *deletes[name]), basis.column(name)) for name in batch.key}
    decisions = {name: _decision(basis, name, rows[name], types[name]) for name in batch.key}
    return SettledKeys(decisions, _keys(rows, types, batch.row_count), _keys(deletes, types, batch.delete_count))


def only(variants: Iterable[Variant], keep: pa.Array) -> tuple[Variant, ...]:
    """The variants of the rows that a mask marks."""
    return tuple(Variant(variant.type, variant.values.filter(keep), variant.family) for variant in variants)


def unstorable_keys(keys: Keys, decisions: dict[str, Decision], capabilities: Capabilities) -> tuple[Loss, ...]:
    """The rows that cannot be written for their key, each row once, by reason."""
    faults = [fault for name in keys.variants for fault in _faults(keys, decisions[name], capabilities)]
    return each_row_once(faults)


def _live(columns: Sequence[RawColumn], name: str, basis: TableSchema) -> tuple[Variant, ...]:
    return live_variants(_column(columns, name), basis.column(name), integers_are_doubles)


def _column(columns: Sequence[RawColumn], name: str) -> RawColumn:
    return next((raw for raw in columns if raw.name == name), RawColumn(name, ()))


def _decision(basis: TableSchema, name: str, variants: tuple[Variant, ...], settled: KeyType | None) -> Decision:
    known = basis.column(name)
    if settled is None:
        return Decision(name, known, None, variants)
    reason = "new field" if known is None else f"keys of {known.family or known.type} meet others"
    return Decision(name, known, settled.type, variants, settled.family, reason)


def _keys(variants: dict[str, tuple[Variant, ...]], types: dict[str, KeyType | None], length: int) -> Keys:
    stored, losses = {}, []
    for name, settled in types.items():
        if settled is not None:
            coerced = key_values(variants[name], settled, length)
            stored[name] = coerced.values
            losses.append(Loss(NEGATIVE_ZERO, coerced.altered, name))
    return Keys(length, variants, stored, found(losses))


def _faults(keys: Keys, decision: Decision, capabilities: Capabilities) -> list[Loss]:
    values = keys.stored.get(decision.name)
    if values is None or decision.type is None:
        return [Loss(KEY_MISSING, pa.repeat(pa.scalar(True), keys.length))]
    faults = [Loss(KEY_MISSING, values.is_null())]
    kind = decision.type.kind
    if kind in (Kind.TEXT, Kind.BINARY):
        faults.append(Loss(KEY_TOO_LONG, longer_than(values, capabilities.max_key_bytes)))
    if kind is Kind.TEXT:
        faults.append(Loss(KEY_UNSTORABLE, containing(values, capabilities.refused_text)))
    if kind in TIMESTAMPS:
        faults.append(Loss(KEY_UNSTORABLE, outside_range(values, capabilities.timestamp_range)))
    if kind is Kind.DATE:
        faults.append(Loss(KEY_UNSTORABLE, outside_dates(values, capabilities.date_range)))
    if kind is Kind.NUMERIC:
        faults.append(
            Loss(KEY_UNSTORABLE, too_many_digits(values, capabilities.numeric_digits, capabilities.numeric_specials))
        )
    return faults
