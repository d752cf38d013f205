"""Turns a table's settings into the rules that its batches are conformed by."""

from __future__ import annotations

from warp_resources.config import TableSettings
from warp_resources.config.column_types import column_type
from warp_resources.model.rules import TableRules
from warp_resources.model.tables import ColumnType, Kind
from warp_resources.pipeline.shape import HASH, MASK


def rules_of(settings: TableSettings, arrays: tuple[str, ...] = ()) -> TableRules:
    """The contract of a table, how it keeps deletes, and what its columns must be.

    Args:
        arrays: the columns that the destination is to have as arrays of its own.
    """
    return TableRules(
        new_columns=settings.new_columns,
        type_changes=settings.type_changes,
        flag=settings.soft_delete_column if settings.deletion_strategy == "soft" else "",
        types=_types(settings),
        names={name: its.rename for name, its in settings.columns.items() if its.rename},
        rejected_share=settings.max_rejected_share if settings.dead_letter_queue else 0.0,
        arrays=arrays,
    )


def _types(settings: TableSettings) -> dict[str, ColumnType]:
    """The types that are declared; hashes and masks are text whatever the column was before."""
    types = {name: column_type(its.type) for name, its in settings.columns.items() if its.type}
    return types | {name: ColumnType(Kind.TEXT) for name, its in settings.columns.items() if its.action in (HASH, MASK)}
