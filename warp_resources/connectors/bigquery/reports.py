"""Reads what others report of the tables: figures, runs, slices, a few rows; mostly without a job."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from warp_resources.connectors.bigquery.control import ControlRows, Figures, RunRow, TableRow
from warp_resources.connectors.bigquery.merge import literal
from warp_resources.connectors.bigquery.session import Session, quoted
from warp_resources.connectors.bigquery.warehouse import Warehouse
from warp_resources.connectors.openings import recent_slices
from warp_resources.model.batches import Discard
from warp_resources.model.positions import Position
from warp_resources.model.reports import FinishedSlice, RunFigures
from warp_resources.model.statistics import TableStatistics
from warp_resources.model.tables import Kind, TableId, TableSchema

_OWN_PREFIX = "_warp_"
_TIMES = (Kind.TIMESTAMP_TZ, Kind.TIMESTAMP, Kind.DATE)


def statistics(rows: ControlRows) -> list[TableStatistics]:
    """The figures of each table that any part of the metadata mentions, in name order."""
    names = sorted({*rows.tables, *rows.own.figures})
    return [_statistics(rows, name, rows.own.figures.get(name, Figures())) for name in names]


def _statistics(rows: ControlRows, name: str, its: Figures) -> TableStatistics:
    row: TableRow | None = rows.tables.get(name)
    return TableStatistics(
        TableId(rows.schema, name),
        rows_written=row.written if row else 0,
        rows_deleted=row.deleted if row else 0,
        rows_rejected=its.rows_rejected,
        byte_count=its.byte_count,
        status=its.status,
        error=its.error,
        finished_at=its.finished_at,
        dead_letters=row.pending if row else 0,
        rows_set_aside=row.aside if row else 0,
        conversion_warnings=its.conversion_warnings,
        errors=its.errors,
        schema_changes=its.schema_changes,
        discards=tuple(_discard(name, count) for name, count in sorted(its.discards.items())),
    )


def _discard(name: str, count: int) -> Discard:
    action, _, column = name.partition(" ")
    return Discard(column, action, count)


def recent_runs(rows: ControlRows, within: timedelta, ended: Iterable[RunFigures]) -> list[RunFigures]:
    """The runs that go on or ended within a time, oldest first; ``ended``: those no longer among the control rows."""
    oldest = datetime.now(UTC) - within
    found = sorted(rows.runs.values(), key=lambda run: run.started_at)
    recent = [run for run in found if run.finished_at is None or run.finished_at > oldest]
    return [*ended, *map(figures, recent)]


def figures(run: RunRow) -> RunFigures:
    """A run as others are told of it."""
    return RunFigures(
        run.run_id,
        run.table,
        run.mode,
        run.status,
        run.written,
        run.deleted,
        run.rows_rejected,
        run.byte_count,
        run.end,
        run.error,
    )


def ended_runs(warehouse: Warehouse, schema: str, condition: str) -> list[RunFigures]:
    """Runs that are no longer among the control rows, oldest first."""
    rows = warehouse.session.run(
        f"""select run_id, table_name, mode, status, rows_written, rows_deleted, rows_rejected, bytes_transferred,
    end_position, error from {warehouse.log("ended_runs")}
where schema_name = {literal(schema)} and {condition} order by started_at""",
        kind="runs",
    )
    return [
        RunFigures(
            row.run_id,
            TableId(schema, row.table_name),
            row.mode,
            row.status,
            row.rows_written,
            row.rows_deleted,
            row.rows_rejected,
            row.bytes_transferred,
            _position(row.end_position),
            row.error,
        )
        for row in rows
    ]


def _position(value: Any) -> Position | None:
    return value if isinstance(value, dict) else None


def finished_slices(rows: ControlRows, within: timedelta) -> list[FinishedSlice]:
    """The slices that were read to their end not long ago, in that order."""
    return recent_slices((one for row in rows.tables.values() for one in row.finished), within)


def row_count(session: Session, table: str, schema: TableSchema) -> int:
    """The rows of a table that are not flagged as deleted."""
    live = f"not ifnull({quoted(schema.flag)}, false)" if schema.flag else "true"
    return int(session.run(f"select count(*) from {table} where {live}", kind="count")[0][0])


def preview(session: Session, full: str, limit: int) -> pa.Table:
    """Some rows as text, without a job; no columns where there is no such table."""
    found = session.table(full)
    fields = [field for field in found.schema if not field.name.startswith(_OWN_PREFIX)] if found is not None else []
    if not fields:
        return pa.table({})
    rows = session.answered(
        lambda: list(
            session.client.list_rows(full, selected_fields=fields, max_results=limit, timeout=session.patience)
        ),
        "list rows",
    )
    shown = [[None if row[field.name] is None else str(row[field.name]) for row in rows] for field in fields]
    return pa.Table.from_arrays([pa.array(its, pa.string()) for its in shown], names=[field.name for field in fields])


def earliest(session: Session, table: str, schema: TableSchema, name: str) -> datetime | None:
    """The smallest time in a column, None where it has none."""
    column = schema.column(name)
    if column is None or column.type.kind not in _TIMES:
        return None
    found = session.run(f"select timestamp(min({quoted(column.stored)})) from {table}", kind="earliest")[0][0]
    return found if isinstance(found, datetime) else None
