"""Holds what a batch would change in an established table against the table's contract."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

from warp_resources.arrow.coerce import coerce
from warp_resources.arrow.keys import MIXED
from warp_resources.arrow.lattice import INTEGERS, TEXT, Fit, fit, join
from warp_resources.arrow.lattice import JSON as JSON_TYPE
from warp_resources.arrow.numbers import integers_are_exact
from warp_resources.errors import TableFailure
from warp_resources.evolution.losses import NEW_COLUMN_QUARANTINED, TYPE_CHANGE_QUARANTINED, Loss, each_row_once
from warp_resources.evolution.plan import is_stored_alike
from warp_resources.evolution.policy import Decision, is_storable
from warp_resources.model.batches import Discard, Variant
from warp_resources.model.capabilities import Capabilities
from warp_resources.model.rules import DISCARD, EVOLVE, FREEZE, JSON, QUARANTINE, TableRules
from warp_resources.model.tables import Column, ColumnType, TableSchema

_DISCARDED = "discard"


@dataclass(frozen=True, slots=True)
class Ruled:
    """The decisions that the contract lets stand, what it discards, and the rows that it sets aside whole."""

    decisions: tuple[Decision, ...]
    discards: tuple[Discard, ...] = ()
    refused: tuple[Loss, ...] = ()


@dataclass(frozen=True, slots=True)
class _Held:
    """A column kept as it is: its type, the values that fit it, and a mask of the rows whose value does not."""

    decision: Decision
    misfits: pa.Array


def obey(decisions: Sequence[Decision], basis: TableSchema, rules: TableRules, capabilities: Capabilities) -> Ruled:
    """The decisions about a batch under the table's contract.

    A table that is not yet made has none, and the key columns are outside it: keys must stay distinct.

    Raises:
        TableFailure: the batch brings what the contract freezes.
    """
    if basis.version == 0 or (rules.new_columns == EVOLVE and rules.type_changes == EVOLVE):
        return Ruled(tuple(decisions))
    _refuse_frozen(decisions, basis, rules)
    kept: list[Decision] = []
    discards: list[Discard] = []
    refused: list[Loss] = []
    for decision in decisions:
        if decision.name in basis.key:
            kept.append(decision)
        elif not is_new(decision, basis):
            held = _held(decision, rules.type_changes, capabilities)
            kept.append(held.decision)
            _account(TYPE_CHANGE_QUARANTINED, rules.type_changes, decision.name, held.misfits, discards, refused)
        elif rules.new_columns == EVOLVE:
            kept.append(decision)
        else:
            _account(NEW_COLUMN_QUARANTINED, rules.new_columns, decision.name, _values(decision), discards, refused)
    return Ruled(tuple(kept), tuple(discards), each_row_once(refused))


def is_new(decision: Decision, basis: TableSchema) -> bool:
    """Whether a decision is about a field that the table has no place for yet."""
    return decision.known is None and decision.type is not None and decision.name not in basis.overflowed


def _refuse_frozen(decisions: Sequence[Decision], basis: TableSchema, rules: TableRules) -> None:
    added = [f"{its.name} ({its.type})" for its in decisions if is_new(its, basis) and its.name not in basis.key]
    if added and rules.new_columns == FREEZE:
        raise TableFailure(
            f"The table's columns are frozen, and new fields came: {', '.join(added)}",
            remedy="Set contract.new_columns to evolve, discard or quarantine, or take the fields away at the source",
            table=basis.table,
        )
    altered = list(_altered(decisions, basis))
    if altered and rules.type_changes == FREEZE:
        raise TableFailure(
            f"The table's types are frozen, and columns would change: {', '.join(altered)}",
            remedy="Set contract.type_changes to evolve, json, discard or quarantine, or mend the values at the source",
            table=basis.table,
        )


def _altered(decisions: Sequence[Decision], basis: TableSchema) -> Iterator[str]:
    for its in decisions:
        if its.known is None or its.type is None or its.is_declared:
            continue
        if its.name in basis.key:
            if its.family == MIXED != its.known.family:
                yield f"{its.name} (key) to text ({its.reason})"
        elif not is_stored_alike(its.known.type, its.type):
            yield f"{its.name} from {its.known.type} to {its.type} ({its.reason})"


def _held(decision: Decision, policy: str, capabilities: Capabilities) -> _Held:
    nothing = pa.array([], pa.bool_())
    known = decision.known
    if known is None or decision.type is None or decision.is_declared or policy in (EVOLVE, FREEZE):
        return _Held(decision, nothing)
    alters = not is_stored_alike(known.type, decision.type)
    drastic = any(fit(known.type, variant.type) is Fit.DRASTIC for variant in decision.variants)
    if policy == JSON:
        becomes_json = drastic or (alters and decision.type == TEXT)
        return _Held(_as_json(decision, known) if becomes_json else decision, nothing)
    return _as_it_is(decision, known, capabilities) if alters or drastic else _Held(decision, nothing)


def _as_json(decision: Decision, known: Column) -> Decision:
    brought = sorted({str(its.type) for its in decision.variants if fit(known.type, its.type) is not Fit.EXACT})
    reason = f"{known.type} meets {', '.join(brought)}"
    return replace(decision, type=JSON_TYPE, reason=reason, converted=())


def _as_it_is(decision: Decision, known: Column, capabilities: Capabilities) -> _Held:
    """The column with what fits it; its proved bounds may still widen, as that alters nothing."""
    target = reduce(_wider_bounds, (variant.type for variant in decision.variants), known.type)
    fitting: list[Variant] = []
    misfits: list[pa.Array] = []
    for variant in decision.variants:
        misfit = _misfits(variant, target, capabilities)
        misfits.append(misfit)
        fitting.append(replace(variant, values=pc.if_else(misfit, None, variant.values)))
    fitting = [variant for variant in fitting if variant.values.null_count < len(variant.values)]
    if target.exact and not all(integers_are_exact(coerce(its.values, its.type, target).values) for its in fitting):
        target = replace(target, exact=False)
    converted = tuple(its.type for its in fitting if fit(target, its.type) is not Fit.EXACT)
    held = replace(decision, type=target, variants=tuple(fitting), converted=converted, reason="bounds widen")
    return _Held(held, reduce(pc.or_, misfits))


def _wider_bounds(target: ColumnType, brought: ColumnType) -> ColumnType:
    joined = join(target, brought)
    return joined if is_stored_alike(target, joined) and target.kind not in INTEGERS else target


def _misfits(variant: Variant, target: ColumnType, capabilities: Capabilities) -> pa.Array:
    if fit(target, variant.type) is Fit.DRASTIC:
        return variant.values.is_valid()
    coerced = coerce(variant.values, variant.type, target)
    return pc.or_(coerced.rejected, pc.invert(is_storable(coerced.values, target, capabilities)))


def _values(decision: Decision) -> pa.Array:
    """A mask of the rows that bring any value."""
    return reduce(pc.or_, (variant.values.is_valid() for variant in decision.variants))


def _account(reason: str, policy: str, name: str, rows: pa.Array, discards: list[Discard], refused: list[Loss]) -> None:
    if policy == DISCARD and rows.true_count:
        discards.append(Discard(name, _DISCARDED, rows.true_count))
    elif policy == QUARANTINE and rows.true_count:
        refused.append(Loss(reason, rows))
