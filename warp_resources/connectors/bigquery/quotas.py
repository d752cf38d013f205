"""Counts what a schema asks of BigQuery in a day against what BigQuery allows."""

from __future__ import annotations

from datetime import timedelta

from warp_resources.model.work import WorkEstimate, WorkLine, Workload

# Source: https://cloud.google.com/bigquery/quotas#load_jobs
LOADS_PER_PROJECT = 100_000
LOADS_PER_TABLE = 1_500
# "A minimum 10 MB data processed per table referenced by the query".
# Source: https://cloud.google.com/bigquery/pricing#on_demand_pricing
LEAST_BYTES_PER_TABLE = 10 * 2**20

_DAY = timedelta(days=1)
_SHORTEST = timedelta(seconds=4)
"""A load job and a script take as long together, so that no table is written more often."""
_SCRIPTS_PER_TICK = 4
"""A batch table is claimed, its run begun, what is new committed, and the run ended."""
_OWN_TABLES = 1
"""The control table, which every script moves."""
_TABLES_PER_PART = 2
"""A table that changes and what was staged for it."""


def estimated_work(workload: Workload) -> WorkEstimate:
    """At most what a day takes if every table changes all the time, and the first load beside it.

    A commit is one load job for all of its tables and one script. Statements that change rows count against no
    limit, and a staging table is filled once.

    Source: https://cloud.google.com/bigquery/docs/data-manipulation-language
    """
    commits = _DAY / max(workload.min_interval, _SHORTEST) if workload.stream_tables else 0.0
    ticks = min(workload.ticks_per_day, _DAY / _SHORTEST) * workload.batch_tables
    chunks = _chunks(workload)
    parts = commits * workload.stream_tables + ticks
    daily = commits + ticks
    scripts = commits + ticks * _SCRIPTS_PER_TICK
    lines = [
        WorkLine("load jobs", daily, LOADS_PER_PROJECT, "one per commit; the limit is the project's"),
        WorkLine("scripts", scripts, None, "query jobs of one transaction each: for a commit, or around a batch tick"),
        WorkLine("load jobs into one table", 1, LOADS_PER_TABLE, "every commit has a staging table of its own"),
        WorkLine("bytes billed at least", _least_bytes(scripts, parts), None, "10 MB for each table of a script", True),
        WorkLine(
            "bytes billed at most",
            _least_bytes(scripts, parts) + daily_scans(workload, commits) * workload.table_bytes,
            None,
            "on demand, where each MERGE reads its table whole",
            True,
        ),
    ]
    if chunks:
        billed = _least_bytes(chunks, chunks) + workload.first_load_bytes
        lines += [
            WorkLine("load jobs of the first load", chunks, LOADS_PER_PROJECT, "once: one for each chunk"),
            WorkLine("bytes billed by the first load at least", billed, None, "once", True),
        ]
    return WorkEstimate(tuple(lines))


def daily_scans(workload: Workload, commits: float) -> float:
    """How often all tables of the schema are read in a day, if every table changes all the time."""
    count = workload.stream_tables + workload.batch_tables
    streamed = commits * workload.stream_tables
    ticked = min(workload.ticks_per_day, _DAY / _SHORTEST) * workload.batch_tables
    return (streamed + ticked) / count if count else 0.0


def _chunks(workload: Workload) -> int:
    whole = -(-workload.first_load_bytes // max(1, workload.chunk_bytes))
    return max(workload.first_load_tables, whole)


def _least_bytes(scripts: float, parts: float) -> float:
    return (scripts * _OWN_TABLES + parts * _TABLES_PER_PART) * LEAST_BYTES_PER_TABLE
