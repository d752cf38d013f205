"""Turns a table's settings into the rules that its batches are conformed by."""

from __future__ import annotations

from warp_resources.config import TableSettings
from warp_resources.model.rules import TableRules


def rules_of(settings: TableSettings) -> TableRules:
    """The contract of a table, how it keeps deletes, and what its columns must be."""
    return TableRules(
        new_columns=settings.new_columns,
        type_changes=settings.type_changes,
        flag=settings.soft_delete_column if settings.deletion_strategy == "soft" else "",
        rejected_share=settings.max_rejected_share if settings.dead_letter_queue else 0.0,
    )
