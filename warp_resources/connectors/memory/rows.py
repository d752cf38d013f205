"""Shows stored rows as plain Python values."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any

from warp_resources.connectors.memory.store import StoredTable
from warp_resources.model.tables import Kind


def plain_rows(table: StoredTable) -> list[dict[str, Any]]:
    """Each row by stored column name, with the flag of soft deletes, ``_warp_sequence`` and ``_warp_synced_at``."""
    if not table.versions:
        return []
    schema = table.versions[-1].schema
    return [
        {column.stored: _plain(row.values.get(column.stored), column.type.kind) for column in schema.columns}
        | ({schema.flag: row.values[schema.flag]} if schema.flag else {})
        | {"_warp_sequence": row.sequence, "_warp_synced_at": row.synced_at}
        for row in table.rows.values()
    ]


def _plain(value: Any, kind: Kind) -> Any:
    """JSON stays text, since Python's own form would lose digits and repeated keys."""
    if value is None:
        return None
    if kind is Kind.NUMERIC:
        return Decimal(value)
    if kind is Kind.UUID:
        return uuid.UUID(bytes=value)
    return value
