"""Tells which runs are dead that left rows running, from who opens a row now."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

from warp_resources.model.tables import TableId

STREAM, BATCH, SNAPSHOT = "stream", "batch", "snapshot"


class RunningRow(Protocol):
    """A row of ``sync_runs``; the empty table name is the row of a schema's stream."""

    @property
    def run_id(self) -> str: ...

    @property
    def table(self) -> TableId: ...

    @property
    def mode(self) -> str: ...


Row = TypeVar("Row", bound=RunningRow)


def abandoned(
    running: Iterable[Row], run_id: str, table: TableId, mode: str, is_read: Callable[[TableId], bool]
) -> list[Row]:
    """The rows of other runs that end when a run opens one: it holds the lease of the table, or of the stream.

    Args:
        running: the rows of the schema that go on.
        is_read: whether a generation of a table is open: a resync at work is a run of its own beside the stream.
    """
    others = [run for run in running if run.run_id != run_id]
    if table.name:
        return [run for run in others if mode == BATCH and run.table == table]
    if mode != STREAM:
        return []
    dead = {run.run_id for run in others if not run.table.name}
    return [
        run
        for run in others
        if run.mode == STREAM or run.run_id in dead or (run.mode == SNAPSHOT and not is_read(run.table))
    ]
