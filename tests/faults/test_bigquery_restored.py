"""BigQuery itself goes away inside a transaction, and is put back to an older backup, beneath a running stream."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.backups import Backups, backed_up
from tests.faults.bigquery_proxy import COMMIT, BigQueryProxy
from tests.faults.bigquery_stage import BigQueryStage, bigquery_stage
from tests.fixtures.servers import BigQueryProject, MongoDatabase
from warp_resources.connectors.bigquery.embedded import EmbeddedBigQuery

pytestmark = pytest.mark.servers

ROWS_PER_CHUNK = 40
PATIENCE_SECONDS = 60.0


@pytest.fixture
def backups(bigquery_server: EmbeddedBigQuery) -> Iterator[Backups[EmbeddedBigQuery]]:
    """An emulator of its own; the shared one shows that there can be one."""
    with backed_up(EmbeddedBigQuery) as made:
        yield made


@pytest.fixture
def proxy(backups: Backups[EmbeddedBigQuery]) -> Iterator[BigQueryProxy]:
    with BigQueryProxy(backups.server.api_endpoint) as made:
        yield made


@pytest.fixture
def stage(
    tmp_path: Path, mongo_db: MongoDatabase, backups: Backups[EmbeddedBigQuery], proxy: BigQueryProxy
) -> BigQueryStage:
    """A schema whose tables are read in small chunks, so that a backup lies between two of them."""
    project = BigQueryProject(backups.server, "restored")
    tables = {"users": {"full_load_batch_size": ROWS_PER_CHUNK}}
    return bigquery_stage(tmp_path, mongo_db, project, proxy.endpoint, tables=tables)


def wait_for_a_commit(proxy: BigQueryProxy) -> None:
    """Until the script of one that has not begun yet is on its way to the server."""
    before, deadline = proxy.count(COMMIT), time.monotonic() + PATIENCE_SECONDS
    while proxy.count(COMMIT) == before:
        assert time.monotonic() < deadline, "no commit"
        time.sleep(0.002)


# SPEC: T7, R3  FAULTS: 18
def test_the_service_dies_while_scripts_run(
    stage: BigQueryStage, backups: Backups[EmbeddedBigQuery], proxy: BigQueryProxy
) -> None:
    machine = stage.machine()
    machine.fill(100)
    with stage.running() as process:
        stage.arrives()
        with machine.running(per_second=50):
            for _ in range(3):
                stage.inject("kill -9 of the service")
                wait_for_a_commit(proxy)
                backups.server.kill()
                backups.server.restart()
        stage.judge(process)


# SPEC: T7, T8, R3  FAULTS: 18
def test_a_destination_restored_from_an_older_backup_is_brought_up_again(
    stage: BigQueryStage, backups: Backups[EmbeddedBigQuery]
) -> None:
    users, orders = stage.machine("users"), stage.machine("orders")
    users.fill(6 * ROWS_PER_CHUNK)
    stage.inject("a backup in the middle of the first load")
    stage.dies("chunk.written=kill@3")
    backups.take()
    orders.fill(50)
    with stage.running() as process:
        stage.arrives()
        users.burst(80)
        stage.database["users"].update_many({"step": 0}, {"$set": {"added_later": "text"}})
        stage.database["users"].update_many({"step": 1}, {"$set": {"life": "a text"}})
        stage.arrives()
        with users.running(per_second=50):
            stage.inject("restored beneath the stream")
            backups.put_back()
            stage.eventually(lambda: "standing by" in stage.command.log or "interrupted" in stage.command.log)
        orders.burst(50)
        stage.judge(process, errors=["type_conversion"])
