"""What the metadata says of a table so far, in figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from warp_resources.model.batches import Discard
from warp_resources.model.tables import TableId


@dataclass(frozen=True, slots=True)
class TableStatistics:
    """Sums over all runs, also those no longer kept; a schema's own entry has the empty table name.

    ``status`` and ``error`` are of the latest run, ``finished_at`` is of the latest success
    that brought the table up to date: of no window. ``dead_letters`` counts the pending ones, ``rows_set_aside``
    those of them that are whole rows.
    ``errors`` counts what ever was in ``error_log`` by type, ``schema_changes`` the registry by kind of change,
    ``discards`` the values that were left out or changed because the configuration says so.
    """

    table: TableId
    rows_written: int = 0
    rows_deleted: int = 0
    rows_rejected: int = 0
    byte_count: int = 0
    status: str | None = None
    error: str | None = None
    finished_at: datetime | None = None
    dead_letters: int = 0
    rows_set_aside: int = 0
    conversion_warnings: int = 0
    errors: Mapping[str, int] = field(default_factory=dict)
    schema_changes: Mapping[str, int] = field(default_factory=dict)
    discards: tuple[Discard, ...] = ()
