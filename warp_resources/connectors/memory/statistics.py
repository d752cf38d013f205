"""Sums up what the metadata has of each table, for status and metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from warp_resources.connectors.memory.store import PENDING, Contents, LoggedError, Run
from warp_resources.model.batches import Discard
from warp_resources.model.statistics import TableStatistics
from warp_resources.model.tables import TableId


def statistics(contents: Contents, schema: str) -> list[TableStatistics]:
    """The figures of each table that any part of the metadata mentions, in name order."""
    mentioned = {
        *contents.tables,
        *(run.table for run in contents.runs.values()),
        *(logged.entry.table for logged in contents.errors),
        *contents.removed,
    }
    return [_of_table(contents, table) for table in sorted(mentioned) if table.schema == schema]


def _of_table(contents: Contents, table: TableId) -> TableStatistics:
    runs = sorted((run for run in contents.runs.values() if run.table == table), key=lambda run: run.started_at)
    stored = contents.tables.get(table)
    changes = [change for version in (stored.versions if stored else ()) for change in version.changes]
    synced = [run for run in runs if run.status == "success" and run.mode not in ("window", "replay")]
    pending = [its.letter for its in contents.letters if its.letter.table == table and its.status == PENDING]
    return replace(
        with_counts(contents.removed.get(table, TableStatistics(table)), runs, contents.errors),
        status=runs[-1].status if runs else None,
        error=runs[-1].error if runs else None,
        finished_at=max((run.finished_at for run in synced if run.finished_at is not None), default=None),
        dead_letters=len(pending),
        rows_set_aside=sum(letter.column is None for letter in pending),
        schema_changes=Counter(str(change.kind) for change in changes),
        discards=tuple(
            Discard(column, action, count)
            for (its, column, action), count in sorted(contents.discards.items())
            if its == table
        ),
    )


def with_counts(counted: TableStatistics, runs: Iterable[Run], errors: Iterable[LoggedError]) -> TableStatistics:
    """The figures with what runs and errors of their table add to them."""
    its = [run for run in runs if run.table == counted.table]
    entries = [logged.entry for logged in errors if logged.entry.table == counted.table]
    warnings = sum(entry.severity == "warning" and entry.column is not None for entry in entries)
    return replace(
        counted,
        rows_written=counted.rows_written + sum(run.rows_written for run in its),
        rows_deleted=counted.rows_deleted + sum(run.rows_deleted for run in its),
        rows_rejected=counted.rows_rejected + sum(run.rows_rejected for run in its),
        byte_count=counted.byte_count + sum(run.byte_count for run in its),
        conversion_warnings=counted.conversion_warnings + warnings,
        errors=Counter(counted.errors) + Counter(entry.error_type for entry in entries),
    )
