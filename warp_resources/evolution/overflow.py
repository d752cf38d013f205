"""Finds a place for fields that a table has no room for: one JSON object per row in a column of the engine's own."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from warp_resources.arrow.cleaning import clean_json
from warp_resources.arrow.lattice import JSON
from warp_resources.arrow.widths import may_exceed
from warp_resources.evolution.fill import Filled, fill
from warp_resources.evolution.losses import CHARACTER_REMOVED, Loss, found
from warp_resources.evolution.names import OVERFLOW_COLUMN
from warp_resources.evolution.policy import Decision
from warp_resources.model.batches import ErrorEntry
from warp_resources.model.capabilities import Capabilities
from warp_resources.model.tables import Column, ColumnType, TableId, TableSchema

# The engine's own columns, this one too, and room for columns that are being swapped for others.
SPARE_COLUMNS = 60
MOST_LISTED = 3_000
"""So many fields are listed by name at most: a field for each of a million keys must not swell every version."""

_COLUMN_OVERFLOW = "column_overflow"


@dataclass(frozen=True, slots=True)
class Parted:
    """The decisions about fields that have or get a column, and about those whose values go to the overflow column."""

    columns: tuple[Decision, ...]
    overflow: tuple[Decision, ...] = ()


def overflow_column(schema: TableSchema) -> Column | None:
    """The overflow column, where the table has one; its stored name is free, as no field is stored under it."""
    return next((column for column in schema.columns if column.stored == OVERFLOW_COLUMN), None)


def part(
    decisions: Sequence[Decision], basis: TableSchema, capabilities: Capabilities, room: int | None = None
) -> Parted:
    """Each decision's place: known columns keep theirs, new fields get one while there is room, in their order.

    Args:
        room: how many new columns there may be at most; None where only the destination's limit counts.
    """
    own = overflow_column(basis)
    known = len(basis.columns) - (own is not None)
    free = capabilities.max_columns - SPARE_COLUMNS - known
    # The key's columns come first, and a table cannot be without them.
    free = free if room is None else min(free, room + (len(basis.key) if basis.version == 0 else 0))
    is_listed_whole = len(basis.overflowed) < MOST_LISTED
    barred = {*basis.overflowed, *([own.name] if own else [])}
    columns: list[Decision] = []
    overflow: list[Decision] = []
    for decision in decisions:
        if decision.known is not None or decision.type is None:
            columns.append(decision)
        elif free > 0 and is_listed_whole and decision.name not in barred:
            columns.append(decision)
            free -= 1
        else:
            overflow.append(decision)
    return Parted(tuple(columns), tuple(overflow))


def safe_room(decisions: Sequence[Decision], basis: TableSchema, capabilities: Capabilities) -> int:
    """How many of the new columns, the key's aside, rows have room for whatever values they bring."""
    limit = capabilities.max_row_bytes
    new = [its.type for its in decisions if its.known is None and its.type is not None and its.name not in basis.key]
    if limit is None:
        return len(new)
    fixed = [*(column.type for column in basis.columns), JSON]
    if basis.version == 0:
        fixed += [its.type for its in decisions if its.name in basis.key and its.type is not None]
    low, high = 0, len(new)
    while low < high:
        middle = (low + high + 1) // 2
        types: list[ColumnType] = [*fixed, *new[:middle]]
        low, high = (low, middle - 1) if may_exceed(types, len(types), limit) else (middle, high)
    return low


def made_overflow_column(basis: TableSchema, names: Collection[str]) -> Column:
    """The overflow column of a table that has none; no field of the source has its name within the engine."""
    name = OVERFLOW_COLUMN
    while name in names or basis.column(name) is not None:
        name += "_"
    return Column(name, OVERFLOW_COLUMN, JSON)


def listed(basis: TableSchema, overflow: Sequence[Decision]) -> tuple[str, ...]:
    """The fields that are known to be in overflow after the batch."""
    new = [its.name for its in overflow if its.name not in basis.overflowed]
    return (*basis.overflowed, *new)[: max(MOST_LISTED, len(basis.overflowed))]


def overflow_values(overflow: Sequence[Decision], column: Column, length: int, capabilities: Capabilities) -> Filled:
    """A JSON object per row with the fields that the row has a value of; null where it has none."""
    if not overflow:
        return Filled(pa.nulls(length, pa.string()), ())
    members: list[pa.Array] = []
    losses: list[Loss] = []
    for decision in overflow:
        filled = fill(decision, JSON, length, capabilities)
        losses += filled.losses
        members.append(pc.binary_join_element_wise(f",{json.dumps(decision.name)}:", filled.values, ""))
    # Not with nulls skipped: Arrow 26 drops the rows that have nothing but nulls.
    joined = pc.binary_join_element_wise(*members, "", null_handling="replace", null_replacement="")
    objects = pc.binary_join_element_wise("{", pc.utf8_slice_codeunits(joined, 1), "}", "")
    cleaned = clean_json(pc.if_else(pc.equal(joined, ""), None, objects), capabilities.refused_text)
    losses.append(Loss(CHARACTER_REMOVED, cleaned.changed, column.name))
    return Filled(cleaned.values, found(losses))


def overflow_entries(table: TableId, before: TableSchema, after: TableSchema) -> list[ErrorEntry]:
    """What is said of each field when its values first go to the overflow column."""
    new = after.overflowed[len(before.overflowed) :]
    message = f"The table has no room for another column; the field's values are in {OVERFLOW_COLUMN}"
    entry = ErrorEntry(table, _COLUMN_OVERFLOW, message, f"kept in {OVERFLOW_COLUMN}")
    entries = [replace(entry, column=name) for name in new]
    if new and len(after.overflowed) >= MOST_LISTED:
        message = f"{MOST_LISTED} fields have no column; all others that come go to {OVERFLOW_COLUMN} untold"
        entries.append(replace(entry, message=message))
    return entries
