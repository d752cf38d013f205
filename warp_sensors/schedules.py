"""The schedule of a schema: its cron starts the sync job."""

from __future__ import annotations

import dagster as dg

from warp_resources.dagster_bridge import keys

ZONE = "UTC"
"""Of the cron, as in the headless engine."""


def sync_schedule(schema: str, cron: str, job: dg.JobDefinition) -> dg.ScheduleDefinition:
    """``sync_<schema>_schedule``, running unless somebody switches it off."""
    return dg.ScheduleDefinition(
        name=keys.sync_schedule(schema),
        job=job,
        cron_schedule=cron,
        execution_timezone=ZONE,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Brings the batch tables of {schema} up to date.",
    )
