"""When the schedule of a schema starts its job."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.schedule_definition import ScheduleExecutionData

from tests.dagster.configurations import Site

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site({"name": "crm", "mode": "batch", "schedule": "*/5 * * * *"})
    # A schedule only takes an instance that another process could open as well.
    with dg.DagsterInstance.local_temp(str(tmp_path)) as made.instance:
        yield made


def ticked(site: Site) -> ScheduleExecutionData:
    schedule = site.definitions().resolve_schedule_def("sync_crm_schedule")
    with dg.build_schedule_context(site.instance, scheduled_execution_time=NOON) as context:
        return schedule.evaluate_tick(context)


def test_a_tick_starts_the_job(site: Site) -> None:
    # SPEC: D3
    [request] = ticked(site).run_requests
    assert request.tags["dagster/schedule_name"] == "sync_crm_schedule"


@pytest.mark.parametrize(
    ("status", "is_over"),
    [
        (dg.DagsterRunStatus.STARTING, False),
        # Its process may have died with the code server, and nobody would ever end it.
        (dg.DagsterRunStatus.STARTED, True),
        (dg.DagsterRunStatus.SUCCESS, True),
        (dg.DagsterRunStatus.FAILURE, True),
        (dg.DagsterRunStatus.CANCELED, True),
    ],
)
def test_a_run_that_is_not_over_is_not_overtaken(site: Site, status: dg.DagsterRunStatus, is_over: bool) -> None:
    # SPEC: D3 T8
    job = site.definitions().resolve_job_def("sync_crm")
    run = site.instance.create_run_for_job(job, status=status)
    found = ticked(site)
    assert len(found.run_requests or []) == is_over
    assert is_over or run.run_id in found.skip_message
