"""Makes dead letters and logged errors of the rows of tables that have the columns of the contract (SPEC 4)."""

from __future__ import annotations

from typing import Any

from warp_resources.model.batches import DeadLetter, ErrorEntry
from warp_resources.model.letters import KeptError, KeptLetter
from warp_resources.model.tables import TableId


def kept_letter(schema: str, row: Any) -> KeptLetter:
    """A row of ``dead_letters`` and its ``byte_count``, as attributes; an empty ``record`` was not asked for."""
    letter = DeadLetter(
        table=TableId(schema, row.table_name),
        primary_key=row.primary_key,
        operation=row.operation,
        reason=row.reason,
        column=row.column_name,
        record=row.record,
        encoding=row.encoding,
        key_text=row.key_text,
    )
    return KeptLetter(
        number=row.dead_letter_id,
        letter=letter,
        status=row.status,
        occurred_at=row.occurred_at,
        sequence=row.sequence,
        basis=row.basis,
        attempts=row.attempts,
        last_error=row.last_error,
        retry_at=row.retry_at,
        resolved_at=row.resolved_at,
        run_id=row.run_id,
        byte_count=row.byte_count,
    )


def kept_error(schema: str, row: Any) -> KeptError:
    """A row of ``error_log``, its columns as attributes."""
    entry = ErrorEntry(
        table=TableId(schema, row.table_name),
        error_type=row.error_type,
        message=row.message,
        action=row.action,
        column=row.column_name,
        severity=row.severity,
        primary_key=row.primary_key,
    )
    return KeptError(row.error_id, row.occurred_at, entry, row.run_id)
