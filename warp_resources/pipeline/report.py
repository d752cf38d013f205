"""What a piece of work did to one table."""

from __future__ import annotations

from dataclasses import dataclass

from warp_resources.model.batches import TableReceipt
from warp_resources.model.positions import Position
from warp_resources.model.tables import TableId
from warp_resources.pipeline.reading_progress import ReadingProgress


@dataclass(slots=True)
class SyncReport:
    """What was done to one table; ``progress``: of the reading that it took part in, where it was one."""

    table: TableId
    rows_written: int = 0
    rows_deleted: int = 0
    rows_rejected: int = 0
    byte_count: int = 0
    position: Position | None = None
    progress: ReadingProgress | None = None

    def add(self, receipt: TableReceipt | None) -> None:
        if receipt is not None:
            self.rows_written += receipt.rows_written
            self.rows_deleted += receipt.rows_deleted
            self.rows_rejected += receipt.rows_rejected
            self.byte_count += receipt.byte_count
