"""Runs of a table that every retry finds interrupted, and runs that were killed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest

from tests.dagster.configurations import Site
from warp_resources.connectors.memory.source import MemorySource
from warp_resources.errors import TransientError
from warp_resources.model.tables import TableId
from warp_sensors.failures import failure_sensor

A, B = TableId("crm", "a"), TableId("crm", "b")
NOW = datetime.now(UTC)


@pytest.fixture
def site() -> Site:
    """A batch schema of two loaded tables."""
    quick = {"max_retries": 1, "backoff_factor": 1.0, "max_backoff_seconds": 1}
    made = Site({"name": "crm", "mode": "batch"}, error_handling=quick)
    for table in ("a", "b"):
        made.server.put("crm", table, {"_id": 1, "updated_at": NOW})
    made.sync()
    return made


def statuses(site: Site, run_id: str) -> dict[str, str]:
    runs = site.destination.store.contents.runs.values()
    return {run.table.name: run.status for run in runs if run.run_id == run_id}


def test_a_table_whose_retries_are_exhausted_has_an_error_and_a_failed_run(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    # SPEC: R3 T3 T4
    read_marked = MemorySource.read_marked

    def locked(source: MemorySource, scope: Any, table: str, *rest: Any) -> Any:
        if table == "b":
            raise TransientError("A lock was not granted in time")
        return read_marked(source, scope, table, *rest)

    monkeypatch.setattr(MemorySource, "read_marked", locked)
    done = site.run_job("sync_crm")
    assert not done.success
    assert statuses(site, done.run_id) == {"a": "success", "b": "failed", "first": "success"}
    errors = [logged.entry for logged in site.destination.store.contents.errors]
    assert [(entry.table, entry.severity) for entry in errors] == [(B, "error")]


def test_a_run_that_was_killed_does_not_go_on_in_sync_runs(site: Site) -> None:
    # SPEC: T3 D3
    job = site.definitions().resolve_job_def("sync_crm")
    run = site.instance.create_run_for_job(job)
    site.destination.record_run(run.run_id, A, "batch", "running")
    site.destination.record_run("another", B, "batch", "running")
    site.instance.report_run_failed(run, "its process is gone")
    [failure] = site.instance.fetch_run_status_changes(dg.DagsterEventType.RUN_FAILURE, limit=1).records
    with dg.build_run_status_sensor_context(
        sensor_name="report_failures",
        dagster_event=failure.event_log_entry.dagster_event,
        dagster_instance=site.instance,
        dagster_run=run,
    ).for_run_failure() as context:
        failure_sensor(site.config, ["crm"])(context)
    assert statuses(site, run.run_id) == {"a": "failed"}
    assert statuses(site, "another") == {"b": "running"}
