"""Removes metadata whose time is over from a draft of the store; what it counted stays counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from warp_resources.connectors.memory.statistics import with_counts
from warp_resources.connectors.memory.store import PENDING, Contents, now
from warp_resources.model.retention import RetentionPeriods
from warp_resources.model.statistics import TableStatistics

Row = TypeVar("Row")


def remove_expired(contents: Contents, periods: RetentionPeriods, limit: int) -> int:
    """Remove at most ``limit`` rows of each kind, oldest first; how many in all."""
    at = now()
    being_read = {table for table, _ in contents.generations}
    errors = [its for its in contents.errors if its.occurred_at < at - periods.error_log][:limit]
    runs = [
        its
        for its in contents.runs.values()
        if its.status != "running" and its.finished_at is not None and its.finished_at < at - periods.sync_runs
    ][:limit]
    letters = [
        its
        for its in contents.letters
        if its.status != PENDING
        and its.letter.table not in being_read
        and its.resolved_at is not None
        and its.resolved_at < at - periods.resolved_dead_letters
    ][:limit]
    deletions = [its for its in contents.deletions if its.deleted_at < at - periods.deletion_log][:limit]
    for table in {*(run.table for run in runs), *(logged.entry.table for logged in errors)}:
        counted = contents.removed.get(table, TableStatistics(table))
        contents.removed[table] = with_counts(counted, runs, errors)
    contents.errors = _without(contents.errors, errors)
    for run in runs:
        del contents.runs[run.run_id, run.table]
    contents.letters = _without(contents.letters, letters)
    contents.deletions = _without(contents.deletions, deletions)
    return len(errors) + len(runs) + len(letters) + len(deletions)


def _without(rows: Sequence[Row], gone: Sequence[Row]) -> list[Row]:
    places = {id(row) for row in gone}
    return [row for row in rows if id(row) not in places]
