"""Tells what a run of Dagster's did to its tables, and fails it where one of them failed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import dagster as dg

from warp_assets.work import Outcome
from warp_resources.connectors.interfaces import Destination
from warp_resources.dagster_bridge.metadata import Happening
from warp_resources.model.positions import Position
from warp_resources.model.tables import TableId
from warp_resources.telemetry.logs import mask_secrets

_LONGEST_RUN = timedelta(days=30)


def done_by(destination: Destination, table: TableId, run_id: str, outcome: Outcome) -> Happening:
    """All that a run has done to a table, by the figures that the engine kept of it."""
    runs = destination.recent_runs(table.schema, _LONGEST_RUN)
    mine = [run for run in runs if run.run_id == run_id and run.table == table]
    return Happening(
        table=table,
        rows_written=sum(run.rows_written for run in mine),
        rows_deleted=sum(run.rows_deleted for run in mine),
        rows_rejected=sum(run.rows_rejected for run in mine),
        byte_count=sum(run.byte_count for run in mine),
        position=outcome.position or _stream_position(destination, table),
        lag_seconds=outcome.seconds,
    )


def _stream_position(destination: Destination, table: TableId) -> Position | None:
    """What a stream table is as new as."""
    state = destination.stream_state(table.schema)
    return state.position if state is not None else None


def refuse_failures(schema: str, failed: Sequence[Outcome]) -> None:
    """Fail the run, now that every table had its turn."""
    if failed:
        causes = [f"{schema}.{outcome.table}: {mask_secrets(str(outcome.error))}" for outcome in failed]
        raise dg.Failure(f"{len(failed)} tables failed:\n" + "\n".join(causes), allow_retries=False)
