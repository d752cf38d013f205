"""Keeps what each run did to each table, as ``sync_runs`` does elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from warp_resources.connectors.memory.store import Contents, Run, now
from warp_resources.model.positions import Position
from warp_resources.model.tables import TableId

RUNNING, INTERRUPTED = "running", "interrupted"
STREAM, BATCH, SNAPSHOT = "stream", "batch", "snapshot"


def record_run(
    contents: Contents,
    run_id: str,
    table: TableId,
    mode: str,
    status: str,
    error: str | None,
    start: Position | None,
    end: Position | None,
) -> None:
    """Open, finish or fail a run's row, and what others left open or its tables' own with it."""
    if status == RUNNING:
        _end(contents, _abandoned(contents, run_id, table, mode), INTERRUPTED, None)
    run = contents.runs.get((run_id, table)) or Run(run_id, table, mode, status, now(), start=start)
    finished = None if status == RUNNING else now()
    contents.runs[run_id, table] = replace(run, status=status, error=error, end=end, finished_at=finished)
    if status != RUNNING and not table.name:
        _end(contents, (its for its in _running(contents, table.schema) if its.run_id == run_id), status, error)


def _abandoned(contents: Contents, run_id: str, table: TableId, mode: str) -> list[Run]:
    others = [run for run in _running(contents, table.schema) if run.run_id != run_id]
    if table.name:
        return [run for run in others if mode == BATCH and run.table == table]
    if mode != STREAM:
        return []
    dead = {run.run_id for run in others if not run.table.name}
    return [run for run in others if run.mode == STREAM or run.run_id in dead or not _is_being_read(contents, run)]


def _is_being_read(contents: Contents, run: Run) -> bool:
    """Whether the row may be that of a resync at work, a run of its own beside the stream."""
    return run.mode != SNAPSHOT or bool(contents.open_generations(run.table))


def _running(contents: Contents, schema: str) -> list[Run]:
    return [run for run in contents.runs.values() if run.status == RUNNING and run.table.schema == schema]


def _end(contents: Contents, runs: Iterable[Run], status: str, error: str | None) -> None:
    for run in runs:
        contents.runs[run.run_id, run.table] = replace(run, status=status, error=error, finished_at=now())
