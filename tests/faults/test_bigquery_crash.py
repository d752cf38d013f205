"""MongoDB to BigQuery as a user runs it: killed, frozen and stopped around its jobs, and refused by the service."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.faults.bigquery_proxy import COMMIT, LOAD, RESULTS, BigQueryProxy, Fault
from tests.faults.bigquery_stage import BigQueryStage, bigquery_stage
from tests.fixtures.servers import BigQueryProject, MongoDatabase
from tests.pairs.process import stop

pytestmark = pytest.mark.servers

MARKER = (
    "select to_json_string(struct(position, sequence)) from cartridge_warp_metadata.sync_markers"
    " where schema_name = %s and marker_type = 'stream' order by table_name"
)
COUNTED = (
    "select concat(sum(rows_written), ' ', sum(rows_deleted)) from cartridge_warp_metadata.sync_runs"
    " where schema_name = %s and mode = 'stream'"
)
DELETED = "select primary_key from cartridge_warp_metadata.deletion_log where schema_name = %s"


@pytest.fixture
def stage(tmp_path: Path, mongo_db: MongoDatabase, bigquery: BigQueryProject, proxy: BigQueryProxy) -> BigQueryStage:
    return bigquery_stage(tmp_path, mongo_db, bigquery, proxy.endpoint)


# SPEC: T7, E9  FAULTS: 1, 2
def test_around_a_commit_and_a_schema_change_the_marker_decides(stage: BigQueryStage) -> None:
    stage.machine().fill(60)
    stage.dies("commit.done=kill")
    stage.command.once()
    assert stage.differences() == []
    marker = stage.query(MARKER)
    change_fifty(stage, 0)
    stage.dies("commit.staged=kill")
    assert (stage.query(MARKER), stage.query(DELETED)) == (marker, [])
    stage.dies("commit.done=kill")
    assert stage.query(MARKER) != marker
    stage.command.once()
    assert (stage.query(COUNTED), len(stage.query(DELETED))) == (["45 5"], 5)
    users = stage.database["users"]
    users.insert_one({"_id": "more", "life": 0, "more": 1})
    stage.dies("ddl.announced=kill")
    users.insert_one({"_id": "other", "life": "a text", "more": 2})
    for point in ("ddl.created", "ddl.filled", "ddl.swapped", "ddl.applied"):
        stage.dies(f"{point}=kill")
    stage.judge(errors=["type_conversion"])


# SPEC: R3, T7  FAULTS: 1, 19, 22
def test_refusals_and_lost_answers_of_the_service_are_waited_out(stage: BigQueryStage, proxy: BigQueryProxy) -> None:
    machine = stage.machine()
    machine.fill(50)
    stage.command.once()
    proxy.fail(
        Fault(LOAD, 403, "quotaExceeded", "Your project exceeded quota for imports per project"),
        Fault(COMMIT, 403, "quotaExceeded", "Quota exceeded: concurrent queries"),
        Fault(COMMIT, 403, "rateLimitExceeded", "Exceeded rate limits: jobs.insert"),
        Fault(COMMIT, 503, "backendError", "Please retry", is_done=True),
        Fault(LOAD, is_done=True),
        Fault(RESULTS, 500, "backendError", "Please retry", is_done=True),
        Fault(RESULTS, is_done=True),
    )
    before = proxy.count("POST")
    change_fifty(stage, 0)
    with stage.running() as process:
        stage.arrives()
        stage.eventually(lambda: [str(fault) for fault in proxy.faults if not fault.met])
        assert proxy.count("POST") - before < 100
        assert process.poll() is None
        for said in ("exceeded quota for imports per project", "concurrent queries", "answer lost, asking again"):
            assert said in stage.command.log
        # Nothing of it came twice, whichever answer was lost.
        assert (stage.query(COUNTED), len(stage.query(DELETED))) == (["45 5"], 5)
        stage.inject("no answer, and a stop")
        proxy.fail(Fault(r"POST|PUT", seconds=3600, times=1000))
        change_fifty(stage, 1)
        stage.eventually(lambda: proxy.faults[-1].met > 0)
        assert stop(process) == 0
    proxy.faults.clear()
    stage.judge()


# SPEC: T8, L2, M6  FAULTS: 3, 4, 23
def test_a_frozen_writer_is_replaced_and_writes_nothing_when_it_wakes(stage: BigQueryStage) -> None:
    machine = stage.machine()
    machine.fill(50)
    stage.command.once()
    with stage.running(failpoints="commit.staged=stop") as first:
        change_fifty(stage, 0)
        stage.eventually(lambda: '"point": "commit.staged"' in stage.command.log)
        with stage.running() as second:
            stage.arrives()
            # What the first is about to write is the past by now.
            change_fifty(stage, 0, deleted=False)
            stage.arrives()
            first.send_signal(signal.SIGCONT)
            stage.eventually(lambda: "taken over" in stage.command.log)
            assert stage.differences() == []
            assert (stage.query(COUNTED), len(stage.query(DELETED))) == (["85 5"], 5)
            with machine.running(50):
                stage.eventually(lambda: len(machine.lives) > 80)
                stage.inject("SIGTERM under load")
                assert stop(second) == 0
        stage.arrives()
        assert stop(first) == 0
    stage.judge()


def change_fifty(stage: BigQueryStage, turn: int, *, deleted: bool = True) -> None:
    """Forty updates, five deletes and five inserts, each of another key; or the updates alone."""
    users = stage.database["users"]
    users.update_many({"_id": {"$gte": "users-", "$lt": "users-000040"}}, {"$inc": {"step": 1}})
    if deleted:
        users.delete_many({"_id": {"$in": [f"users-{40 + 5 * turn + number:06d}" for number in range(5)]}})
        users.insert_many([{"_id": f"new-{turn}-{number}", "life": 0, "step": turn} for number in range(5)])
