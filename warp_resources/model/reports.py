"""What the metadata tells of single runs and slices, for those who report them elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from warp_resources.model.positions import Position
from warp_resources.model.tables import TableId


@dataclass(frozen=True, slots=True)
class RunFigures:
    """A row of ``sync_runs``: what one run has done to one table so far, up to ``position``."""

    run_id: str
    table: TableId
    mode: str
    status: str
    rows_written: int
    rows_deleted: int
    rows_rejected: int
    byte_count: int
    position: Position | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class FinishedSlice:
    """A slice of a generation, read to its end at ``finished_at`` by the destination's clock."""

    table: TableId
    generation: str
    name: str
    finished_at: datetime
