"""Makes the columns that a destination wants as arrays of its own, and keeps what is no array out of them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import pyarrow.compute as pc

from warp_resources.arrow.rows import claims
from warp_resources.evolution.fill import Filled
from warp_resources.evolution.losses import NOT_AN_ARRAY, Loss, found
from warp_resources.evolution.names import OVERFLOW_COLUMN
from warp_resources.evolution.plan import Plan
from warp_resources.model.tables import Column, Kind, SchemaChange, TableSchema

_ARRAY = r"^\s*\["
_NULL = r"^\s*null\s*$"


def with_arrays(planned: Plan, basis: TableSchema, wanted: Collection[str]) -> Plan:
    """The plan with those of its new columns as arrays that are wanted so, by source name, and made as JSON."""
    new = {
        column.name: replace(column, is_array=True)
        for column in planned.schema.columns
        if basis.column(column.name) is None and is_to_be_array(column, basis, wanted)
    }
    if not new:
        return planned
    columns = tuple(new.get(column.name, column) for column in planned.schema.columns)
    changes = tuple(_with_column(change, new) for change in planned.changes)
    return Plan(planned.schema.with_columns(columns), changes)


def is_to_be_array(column: Column, schema: TableSchema, wanted: Collection[str]) -> bool:
    """Whether a column is an array if it is made now; the key's and the engine's own never are."""
    is_free = column.name not in schema.key and column.stored != OVERFLOW_COLUMN
    return column.name in wanted and column.type.kind is Kind.JSON and is_free


def arrays_only(filled: Filled, name: str) -> Filled:
    """JSON values without those that are no arrays, which are lost; null is none of these."""
    values = filled.values
    other = claims(pc.invert(pc.match_substring_regex(values, _ARRAY)))
    if not other.true_count:
        return filled
    lost = pc.and_not(other, claims(pc.match_substring_regex(values, _NULL)))
    kept = pc.if_else(other, None, values)
    return Filled(kept, (*filled.losses, *found([Loss(NOT_AN_ARRAY, lost, name)])))


def _with_column(change: SchemaChange, new: dict[str, Column]) -> SchemaChange:
    return change if change.after is None else replace(change, after=new.get(change.after.name, change.after))
