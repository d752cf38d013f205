"""The schedule of a schema: its cron starts the sync job."""

from __future__ import annotations

import dagster as dg

from warp_resources.dagster_bridge import keys

ZONE = "UTC"
"""Of the cron, as in the headless engine."""

_AHEAD = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.CANCELING,
]
"""Runs that do for a tick what it would do. One that has started may be dead without Dagster's knowing, and must not
stop the schedule: where it is alive, the leases of its tables keep the next one away from them."""


def sync_schedule(schema: str, cron: str, job: dg.JobDefinition) -> dg.ScheduleDefinition:
    """``sync_<schema>_schedule``, running unless somebody switches it off; one run of it waits at a time."""

    def tick(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        ahead = context.instance.get_run_records(dg.RunsFilter(job_name=job.name, statuses=_AHEAD), limit=1)
        if ahead:
            # What it does not reach, the next tick finds: a marker skips nothing.
            return dg.SkipReason(f"Run {ahead[0].dagster_run.run_id} of {job.name} is still waiting or ending.")
        return dg.RunRequest()

    return dg.ScheduleDefinition(
        name=keys.sync_schedule(schema),
        job=job,
        cron_schedule=cron,
        execution_timezone=ZONE,
        execution_fn=tick,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Brings the batch tables of {schema} up to date, unless a run of the job still waits to.",
    )
