"""Keeps what each run did to each table, as ``sync_runs`` does elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from warp_resources.connectors.abandoned_runs import abandoned
from warp_resources.connectors.memory.store import Contents, Run, now
from warp_resources.model.positions import Position
from warp_resources.model.tables import TableId

RUNNING, INTERRUPTED = "running", "interrupted"


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
        running = _running(contents, table.schema)
        dead = abandoned(running, run_id, table, mode, lambda its: bool(contents.open_generations(its)))
        _end(contents, dead, INTERRUPTED, None)
    run = contents.runs.get((run_id, table)) or Run(run_id, table, mode, status, now(), start=start)
    finished = None if status == RUNNING else now()
    contents.runs[run_id, table] = replace(run, status=status, error=error, end=end, finished_at=finished)
    if status != RUNNING and not table.name:
        _end(contents, (its for its in _running(contents, table.schema) if its.run_id == run_id), status, error)


def _running(contents: Contents, schema: str) -> list[Run]:
    return [run for run in contents.runs.values() if run.status == RUNNING and run.table.schema == schema]


def _end(contents: Contents, runs: Iterable[Run], status: str, error: str | None) -> None:
    for run in runs:
        contents.runs[run.run_id, run.table] = replace(run, status=status, error=error, finished_at=now())
