"""Reads what others report of the tables: recent runs and slices, a few rows, the smallest time."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa

from warp_resources.connectors.memory.rows import plain_rows
from warp_resources.connectors.memory.store import Contents, Run, StoredTable, now
from warp_resources.connectors.openings import recent_slices
from warp_resources.model.reports import FinishedSlice, RunFigures


def recent_runs(contents: Contents, schema: str, within: timedelta) -> list[RunFigures]:
    """The runs of a schema's tables that go on or ended not long ago, oldest first."""
    oldest = now() - within
    runs = sorted(contents.runs.values(), key=lambda run: run.started_at)
    return [
        _figures(run)
        for run in runs
        if run.table.schema == schema and (run.finished_at is None or run.finished_at > oldest)
    ]


def figures_of_run(contents: Contents, schema: str, run_id: str) -> list[RunFigures]:
    """What one run has done to each table."""
    return [
        _figures(run) for (its_id, table), run in contents.runs.items() if (table.schema, its_id) == (schema, run_id)
    ]


def finished_slices(contents: Contents, schema: str, within: timedelta) -> list[FinishedSlice]:
    """The slices that were read to their end not long ago, in that order."""
    return recent_slices((one for one in contents.finished if one.table.schema == schema), within)


def preview(rows: list[dict[str, Any]], limit: int) -> pa.Table:
    """Some rows as text."""
    names = [name for name in (rows[0] if rows else {}) if not name.startswith("_warp_")]
    shown = [[None if row[name] is None else str(row[name]) for row in rows[:limit]] for name in names]
    return pa.Table.from_arrays([pa.array(values, pa.string()) for values in shown], names=names)


def earliest(table: StoredTable, name: str) -> datetime | None:
    """The smallest time in a column."""
    column = table.versions[-1].schema.column(name) if table.versions else None
    if column is None:
        return None
    values = [row[column.stored] for row in plain_rows(table)]
    return min((time for value in values if (time := _time(value)) is not None), default=None)


def _figures(run: Run) -> RunFigures:
    return RunFigures(
        run.run_id,
        run.table,
        run.mode,
        run.status,
        run.rows_written,
        run.rows_deleted,
        run.rows_rejected,
        run.byte_count,
        run.end,
        run.error,
    )


def _time(value: Any) -> datetime | None:
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    return datetime(value.year, value.month, value.day, tzinfo=UTC) if isinstance(value, date) else None
