"""Keeps the rows of runs in a draft of the control rows, and moves those that have ended out of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

from warp_resources.connectors.abandoned_runs import abandoned
from warp_resources.connectors.bigquery.control import RUN_ROW, Draft, RunRow
from warp_resources.connectors.bigquery.merge import literal
from warp_resources.connectors.bigquery.warehouse import Warehouse
from warp_resources.model.positions import Position
from warp_resources.model.tables import TableId

RUNNING, INTERRUPTED, SUCCESS = "running", "interrupted", "success"
KEPT_FOR = timedelta(hours=1)
"""How long ended runs stay among the control rows, where they are read without a job."""
_UNTIMED = ("window", "replay")
"""Modes of runs that say nothing of how new a table is."""


def count_rows(
    draft: Draft, run_id: str, table: TableId, mode: str, rejected: int, byte_count: int, position: Position | None
) -> tuple[str, str, str]:
    """Add what a commit does to the run's row of the table, which the first commit opens; the key of the row."""
    fresh = RunRow(run_id, table, mode, RUNNING, draft.at)
    run = draft.runs.get(fresh.key, fresh)
    draft.runs[run.key] = replace(
        run,
        status=RUNNING,
        finished_at=None,
        error=None,
        rows_rejected=run.rows_rejected + rejected,
        byte_count=run.byte_count + byte_count,
        end=position or run.end,
    )
    its = draft.figures(table.name)
    counted = replace(its, rows_rejected=its.rows_rejected + rejected, byte_count=its.byte_count + byte_count)
    draft.count(table.name, counted)
    _show(draft, draft.runs[run.key])
    return run.key


def record_run(
    draft: Draft,
    run_id: str,
    table: TableId,
    mode: str,
    status: str,
    error: str | None,
    start: Position | None,
    end: Position | None,
) -> None:
    """Open, finish or fail a run's row; what dead runs left running there ends with it."""
    if status == RUNNING:
        dead = abandoned(_running(draft), run_id, table, mode, lambda its: _is_read(draft, its))
        _end(draft, dead, INTERRUPTED, None)
    fresh = RunRow(run_id, table, mode, status, draft.at)
    run = draft.runs.get(fresh.key, fresh)
    finished = None if status == RUNNING else draft.at
    run = replace(run, status=status, error=error, finished_at=finished, start=run.start or start, end=end or run.end)
    draft.runs[run.key] = run
    _show(draft, run)
    if status != RUNNING:
        mine = [its for its in _running(draft) if its.run_id == run_id and its.table.name]
        _end(draft, (its for its in mine if table.name in ("", its.table.name)), status, error)


def old_runs(draft: Draft) -> list[RunRow]:
    """Take the runs out that ended some time ago."""
    oldest = draft.at - KEPT_FOR
    gone = [run for run in draft.runs.values() if run.finished_at is not None and run.finished_at < oldest]
    for run in gone:
        del draft.runs[run.key]
    return gone


def archive(warehouse: Warehouse, runs: Iterable[RunRow]) -> str:
    """Keep runs that were taken out where they cost nothing any more; before they are deleted, in one transaction."""
    places = ", ".join(literal(f"{run.table.name}/{run.key[2]}") for run in runs)
    if not places:
        return ""
    [schema] = {run.table.schema for run in runs}
    return f"""insert into {warehouse.log("ended_runs")} (run_id, schema_name, table_name, mode, status, started_at,
    finished_at, rows_written, rows_deleted, rows_rejected, bytes_transferred, start_position, end_position, error)
select json_value(body, '$.run_id'), {literal(schema)}, name, json_value(body, '$.mode'), json_value(body, '$.status'),
    timestamp(json_value(body, '$.started_at')), timestamp(json_value(body, '$.finished_at')), written, deleted,
    cast(ifnull(json_value(body, '$.rows_rejected'), '0') as int64),
    cast(ifnull(json_value(body, '$.byte_count'), '0') as int64), parse_json(json_query(body, '$.start')),
    parse_json(json_query(body, '$.end')), json_value(body, '$.error')
from {warehouse.own("control", schema)} where kind = '{RUN_ROW}' and concat(name, '/', part) in ({places});
"""


def _is_read(draft: Draft, table: TableId) -> bool:
    row = draft.tables.get(table.name)
    return row is not None and bool(row.readings)


def _running(draft: Draft) -> list[RunRow]:
    return [run for run in draft.runs.values() if run.status == RUNNING]


def _end(draft: Draft, runs: Iterable[RunRow], status: str, error: str | None) -> None:
    for run in runs:
        draft.runs[run.key] = replace(run, status=status, error=error, finished_at=draft.at)
        _show(draft, draft.runs[run.key])


def _show(draft: Draft, run: RunRow) -> None:
    """Let the figures of the table tell of its latest run, and of its latest success."""
    its = draft.figures(run.table.name)
    if run.mode != "replay":
        its = replace(its, status=run.status, error=run.error)
    if run.status == SUCCESS and run.mode not in _UNTIMED:
        its = replace(its, finished_at=run.finished_at)
    draft.count(run.table.name, its)
