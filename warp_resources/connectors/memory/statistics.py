"""Sums up what the metadata has of each table, for status and metrics."""

from __future__ import annotations

from collections import Counter

from warp_resources.connectors.memory.store import PENDING, Contents
from warp_resources.model.statistics import TableStatistics
from warp_resources.model.tables import TableId


def statistics(contents: Contents, schema: str) -> list[TableStatistics]:
    """The figures of each table that any part of the metadata mentions, in name order."""
    mentioned = {
        *contents.tables,
        *(run.table for run in contents.runs.values()),
        *(logged.entry.table for logged in contents.errors),
    }
    return [_of_table(contents, table) for table in sorted(mentioned) if table.schema == schema]


def _of_table(contents: Contents, table: TableId) -> TableStatistics:
    runs = sorted((run for run in contents.runs.values() if run.table == table), key=lambda run: run.started_at)
    entries = [logged.entry for logged in contents.errors if logged.entry.table == table]
    stored = contents.tables.get(table)
    changes = [change for version in (stored.versions if stored else ()) for change in version.changes]
    finished = [run.finished_at for run in runs if run.status == "success" and run.finished_at is not None]
    return TableStatistics(
        table=table,
        rows_written=sum(run.rows_written for run in runs),
        rows_deleted=sum(run.rows_deleted for run in runs),
        rows_rejected=sum(run.rows_rejected for run in runs),
        byte_count=sum(run.byte_count for run in runs),
        status=runs[-1].status if runs else None,
        error=runs[-1].error if runs else None,
        finished_at=max(finished, default=None),
        dead_letters=sum(its.letter.table == table and its.status == PENDING for its in contents.letters),
        conversion_warnings=sum(entry.severity == "warning" and entry.column is not None for entry in entries),
        errors=Counter(entry.error_type for entry in entries),
        schema_changes=Counter(str(change.kind) for change in changes),
    )
