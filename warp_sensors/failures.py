"""Puts failed runs where every other failure is: in the destination's ``error_log``."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta

import dagster as dg
import structlog

from warp_resources.config import WarpConfig
from warp_resources.connectors.interfaces import Destination
from warp_resources.dagster_bridge import keys
from warp_resources.errors import WarpError
from warp_resources.masking import mask
from warp_resources.model.batches import ErrorEntry
from warp_resources.model.tables import TableId
from warp_resources.pipeline.options import open_destination

NAME = "report_failures"
ERROR_TYPE = "run_failed"

log = structlog.get_logger(__name__)


def failure_sensor(config: WarpConfig, schemas: Sequence[str]) -> dg.SensorDefinition:
    """``report_failures``, running unless somebody switches it off."""
    jobs = {name: schema for schema in schemas for name in (keys.sync_job(schema), keys.resync_job(schema))}

    @dg.run_failure_sensor(
        name=NAME,
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=5,
        description="Writes an entry into error_log for each table, or schema, of a run that failed.",
    )
    def report(context: dg.RunFailureSensorContext) -> dg.SkipReason | None:
        run = context.dagster_run
        tables = _tables(run, jobs, schemas)
        message = mask(f"Run {run.run_id} of {run.job_name}: {context.failure_event.message}")
        entries = [
            ErrorEntry(table, ERROR_TYPE, message, "the run ended; its page in Dagster has the cause", severity="error")
            for table in tables
        ]
        try:
            with closing(open_destination(config)) as destination:
                destination.prepare()
                destination.record_errors(entries, run.run_id)
                _end_rows(destination, run.run_id, {table.schema for table in tables}, message)
        except WarpError as error:
            log.error("failure not recorded in the destination", run=run.run_id, error=str(error))
        return None

    return report


def _end_rows(destination: Destination, run_id: str, schemas: set[str], cause: str) -> None:
    """End what ``sync_runs`` says of a run: one that was killed could not do so itself."""
    for schema in sorted(schemas):
        for its in destination.recent_runs(schema, timedelta(0)):
            if its.run_id == run_id and its.status == "running":
                destination.record_run(run_id, its.table, its.mode, "failed", error=cause)


def _tables(run: dg.DagsterRun, jobs: dict[str, str], schemas: Sequence[str]) -> list[TableId]:
    """The tables that a run was for; a job of a schema is for the schema as a whole, no selection for all of them."""
    if run.job_name in jobs:
        return [TableId(jobs[run.job_name], "")]
    if run.asset_selection is None:
        return [TableId(schema, "") for schema in schemas]
    selected = [key for key in run.asset_selection if len(key.path) == 2 and key.path[0] in schemas]
    return sorted(map(keys.table_of, selected))
