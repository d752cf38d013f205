"""Fits a batch to its table: evolves the schema, coerces the values and sets aside what has no place."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, reduce

import pyarrow as pa
import pyarrow.compute as pc

from warp_resources.arrow.rows import no_rows, row_numbers
from warp_resources.arrow.widths import may_exceed, row_widths
from warp_resources.errors import TableFailure
from warp_resources.evolution.arrays import arrays_only, with_arrays
from warp_resources.evolution.contract import obey
from warp_resources.evolution.declared import decide_declared
from warp_resources.evolution.deletion import reserved_names, with_deletion
from warp_resources.evolution.diff import diff
from warp_resources.evolution.fill import Filled, fill
from warp_resources.evolution.keying import Keys, SettledKeys, only, settle_keys, unstorable_keys
from warp_resources.evolution.losses import ROW_TOO_WIDE, Loss, account_flaws, account_losses, found
from warp_resources.evolution.names import OVERFLOW_COLUMN, stored_name
from warp_resources.evolution.overflow import overflow_column, overflow_entries, overflow_values, part, safe_room
from warp_resources.evolution.plan import Plan, plan
from warp_resources.evolution.policy import Decision, decide
from warp_resources.evolution.renaming import with_names
from warp_resources.evolution.warnings import conversion_warnings
from warp_resources.model.batches import ConformedTable, Discard, Original, RawColumn, TableBatch
from warp_resources.model.capabilities import Capabilities
from warp_resources.model.rules import NO_RULES, TableRules
from warp_resources.model.tables import TableSchema


@dataclass(frozen=True, slots=True)
class _Fitted:
    """The rows of a batch that can be written, in the types of the schema that holds them.

    ``original`` gives the source record of one of these rows. ``refused``: of them, those that the contract
    sets aside.
    """

    keys: Keys
    original: Callable[[int], Original]
    decisions: tuple[Decision, ...]
    plan: Plan
    columns: dict[str, Filled]
    discards: tuple[Discard, ...]
    refused: tuple[Loss, ...]


def conform(
    batch: TableBatch,
    known: TableSchema | None,
    *,
    stored_schema: str,
    capabilities: Capabilities,
    taken: Collection[str] = (),
    rules: TableRules = NO_RULES,
    warns: bool = True,
) -> ConformedTable:
    """The batch in the destination's own types, with the schema changes that make room for it.

    Every value arrives exact, or has a dead letter and an error entry, or is counted as discarded by the
    table's contract. Rows whose key cannot be stored are set aside whole. A batch without any key makes no table.

    Args:
        known: the table's schema so far; None or version 0 where the table is not yet made.
        taken: the stored names of other tables.
        rules: the table's contract and what its columns must be; the soft-delete column's name is kept free.
        warns: values that were converted without loss have an error entry too.

    Raises:
        TableFailure: the table has another primary key.
        TableFailure: the batch brings what the table's contract freezes.
    """
    basis = known or _unmade(batch, stored_schema, taken, capabilities)
    _refuse_other_key(batch, basis)
    settled = settle_keys(batch, basis)
    barred = unstorable_keys(settled.rows, settled.decisions, capabilities)
    fitted, barred = _fit_writable(batch, settled, barred, basis, capabilities, rules)
    planned, row_keys = fitted.plan, cache(fitted.keys.texts)
    deletes = _without(_deletable(settled, capabilities), fitted.keys.length, row_keys)
    losses = [*fitted.keys.losses, *(loss for part in fitted.columns.values() for loss in part.losses)]
    accounts = [
        *account_flaws(batch.table, batch.flaws),
        *account_losses(batch.table, barred, batch.original, cache(settled.rows.texts)),
        *account_losses(batch.table, losses, fitted.original, row_keys),
    ]
    warnings = conversion_warnings(batch.table, fitted.decisions, planned.changes) if warns else ()
    overflowing = overflow_entries(batch.table, basis, planned.schema)
    return ConformedTable(
        schema=planned.schema,
        based_on=basis.version,
        changes=planned.changes,
        rows=_record_batch({name: part.values for name, part in fitted.columns.items()}, planned.schema),
        deletes=_record_batch(deletes.stored, planned.schema) if deletes.length else None,
        row_keys=row_keys,
        delete_keys=cache(deletes.texts),
        dead_letters=tuple(account.letter for account in accounts),
        errors=(*(account.entry for account in accounts), *overflowing, *warnings),
        byte_count=batch.byte_count,
        original=fitted.original,
        discards=(*batch.discards, *fitted.discards),
        rules=rules,
    )


def _unmade(batch: TableBatch, stored_schema: str, taken: Collection[str], capabilities: Capabilities) -> TableSchema:
    stored_table = stored_name(batch.table.name, taken, capabilities)
    return TableSchema(batch.table, stored_schema, stored_table, columns=(), key=batch.key)


def _refuse_other_key(batch: TableBatch, basis: TableSchema) -> None:
    if not batch.key:
        raise TableFailure(
            "The table has no primary key", remedy="Give it one at the source, or blacklist it", table=batch.table
        )
    if batch.key != basis.key:
        raise TableFailure(
            "The table's rows come with another primary key than it was made with",
            remedy="Give it its former key again at the source, or replicate it in a schema of another name",
            table=batch.table,
            known=", ".join(basis.key),
            incoming=", ".join(batch.key),
        )


def _fit_writable(
    batch: TableBatch,
    settled: SettledKeys,
    barred: tuple[Loss, ...],
    basis: TableSchema,
    capabilities: Capabilities,
    rules: TableRules,
) -> tuple[_Fitted, tuple[Loss, ...]]:
    """The rows that can be written and those that cannot; new fields without room for a column go to overflow."""
    room: int | None = None
    fitted = _fit(batch, settled, barred, basis, capabilities, rules, room)
    # Without the rows that are set aside, other types and columns may do, in which others fit.
    while unwritable := fitted.refused or _too_wide(fitted, capabilities):
        narrower = safe_room(fitted.decisions, basis, capabilities)
        if not fitted.refused and room is None and narrower < _new_columns(fitted, basis):
            room = narrower
        else:
            room, barred = None, (*barred, *(Loss(its.reason, _of_batch(its.rows, barred)) for its in unwritable))
        fitted = _fit(batch, settled, barred, basis, capabilities, rules, room)
    return fitted, barred


def _fit(
    batch: TableBatch,
    settled: SettledKeys,
    barred: Sequence[Loss],
    basis: TableSchema,
    capabilities: Capabilities,
    rules: TableRules,
    room: int | None,
) -> _Fitted:
    keys, columns, origin = _writable(batch, settled.rows, barred)
    decisions = _decisions(settled.decisions, basis, columns, capabilities, rules)
    ruled = obey(decisions, basis, rules, capabilities)
    parted = part(ruled.decisions, basis, capabilities, room)
    reserved = reserved_names(basis, rules.flag)
    planned = plan(basis, parted.columns, capabilities, (*reserved, *rules.names.values()), parted.overflow)
    planned = with_arrays(planned, basis, rules.arrays) if rules.arrays else planned
    planned = with_names(planned, basis, rules.names, reserved, capabilities)
    planned = with_deletion(planned, basis, rules.flag, capabilities)
    filled = _fill(parted.columns, planned.schema, keys, capabilities)
    own = overflow_column(planned.schema)
    if own is not None and parted.overflow:
        filled[own.name] = overflow_values(parted.overflow, own, keys.length, capabilities)
    return _Fitted(keys, origin, ruled.decisions, planned, filled, ruled.discards, ruled.refused)


def _new_columns(fitted: _Fitted, basis: TableSchema) -> int:
    """How many columns the batch would add, the key's and the overflow column aside."""
    known = {column.stored for column in basis.columns} | {OVERFLOW_COLUMN}
    columns = fitted.plan.schema.columns
    return sum(its.stored not in known and its.name not in basis.key for its in columns)


def _of_batch(rows: pa.Array, barred: Sequence[Loss]) -> pa.Array:
    """A mask of the rows that are not barred as one of all rows of the batch."""
    return pc.replace_with_mask(no_rows(len(barred[0].rows)), _others(barred), rows) if barred else rows


def _too_wide(fitted: _Fitted, capabilities: Capabilities) -> tuple[Loss, ...]:
    """The rows that the destination has no room for."""
    limit, schema = capabilities.max_row_bytes, fitted.plan.schema
    if limit is None:
        return ()
    count = len(schema.columns)
    values = [(its.type, part.values) for its in schema.columns if (part := fitted.columns.get(its.name))]
    if not may_exceed((its for its, _ in values), count, limit):
        return ()
    wide = pc.greater(row_widths(values, count, fitted.keys.length), limit)
    return found([Loss(ROW_TOO_WIDE, wide)])


def _writable(
    batch: TableBatch, keys: Keys, barred: Sequence[Loss]
) -> tuple[Keys, Sequence[RawColumn], Callable[[int], Original]]:
    """The keys and columns of the rows that can be written, and the way from a row to its original."""
    if not barred:
        return keys, batch.columns, batch.original
    keep = _others(barred)
    kept_rows = row_numbers(keep)
    columns = [RawColumn(raw.name, only(raw.variants, keep)) for raw in batch.columns]
    return keys.only(keep), columns, lambda row: batch.original(kept_rows[row])


def _deletable(settled: SettledKeys, capabilities: Capabilities) -> Keys:
    """The deleted keys, without those that cannot be stored and so never were."""
    barred = unstorable_keys(settled.deletes, settled.decisions, capabilities)
    return settled.deletes.only(_others(barred)) if barred else settled.deletes


def _without(deletes: Keys, row_count: int, row_keys: Callable[[], pa.Array]) -> Keys:
    """The deletes but those of keys that rows have: what was deleted and made anew is there in the end.

    A source may tell such keys apart where they are one in the destination, as 1 and 1.0 in a document are.
    """
    if not (deletes.length and row_count):
        return deletes
    written = pc.is_in(deletes.texts(), value_set=row_keys())
    return deletes.only(pc.invert(written)) if written.true_count else deletes


def _others(losses: Iterable[Loss]) -> pa.Array:
    return pc.invert(reduce(pc.or_, (loss.rows for loss in losses)))


def _decisions(
    keys: dict[str, Decision],
    basis: TableSchema,
    columns: Sequence[RawColumn],
    capabilities: Capabilities,
    rules: TableRules,
) -> list[Decision]:
    """One decision per column, the key's first, the others in the batch's order."""
    others = [raw for raw in columns if raw.name not in keys]
    return [
        *keys.values(),
        *(
            decide_declared(column, rules.types[column.name], basis.table)
            if column.name in rules.types
            else decide(column, capabilities)
            for column in diff(basis, others, capabilities, rules.types)
        ),
    ]


def _fill(
    decisions: Sequence[Decision], schema: TableSchema, keys: Keys, capabilities: Capabilities
) -> dict[str, Filled]:
    columns = {column.name: column for column in schema.columns}
    filled = {name: Filled(values, ()) for name, values in keys.stored.items()}
    for decision in decisions:
        column = columns.get(decision.name)
        if column is not None and decision.name not in filled:
            its = fill(decision, column.type, keys.length, capabilities)
            filled[decision.name] = arrays_only(its, decision.name) if column.is_array else its
    return filled


def _record_batch(values: dict[str, pa.Array], schema: TableSchema) -> pa.RecordBatch:
    stored = {column.name: column.stored for column in schema.columns}
    return pa.RecordBatch.from_arrays(list(values.values()), names=[stored[name] for name in values])
