"""Tells of values whose type was changed without any loss."""

from __future__ import annotations

from collections.abc import Sequence

from warp_resources.evolution.policy import Decision
from warp_resources.model.batches import ErrorEntry
from warp_resources.model.tables import ChangeKind, Kind, SchemaChange, TableId

_TYPE_CONVERSION = "type_conversion"
_FALLBACKS = (Kind.TEXT, Kind.JSON)
_ALTERING = (ChangeKind.ALTER_TYPE, ChangeKind.KEY_TO_JSON)


def conversion_warnings(
    table: TableId, decisions: Sequence[Decision], changes: Sequence[SchemaChange]
) -> list[ErrorEntry]:
    """An entry for each column that became text or JSON, and for each that took values of another type (E3)."""
    fell_back = {
        change.after.name: change
        for change in changes
        if change.after is not None and change.after.type.kind in _FALLBACKS and change.kind in _ALTERING
    }
    warnings = []
    for decision in decisions:
        if change := fell_back.get(decision.name):
            message = f"Unlike types in one column: {change.reason}"
            kept = "kept as JSON" if change.after and change.after.type.kind is Kind.JSON else "kept as text"
            warnings.append(ErrorEntry(table, _TYPE_CONVERSION, message, kept, column=decision.name))
        elif decision.converted:
            kinds = ", ".join(sorted(map(str, decision.converted)))
            message = f"Values of {kinds} fit the column's type"
            warnings.append(ErrorEntry(table, _TYPE_CONVERSION, message, "converted", column=decision.name))
    return warnings
