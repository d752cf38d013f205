"""A destination that is put back to an older backup beneath a running stream."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.backups import Backups, backed_up
from tests.faults.stage import Stage, staged
from tests.fixtures.servers import MongoDatabase
from warp_resources.connectors.postgresql.embedded import EmbeddedPostgres

pytestmark = pytest.mark.servers

SETTINGS = {"shared_buffers": "32MB", "fsync": "off"}
ROWS_PER_CHUNK = 40


@pytest.fixture
def backups() -> Iterator[Backups[EmbeddedPostgres]]:
    with backed_up(lambda folder: EmbeddedPostgres(folder, settings=SETTINGS)) as made:
        yield made


@pytest.fixture
def stage(tmp_path: Path, mongo_db: MongoDatabase, backups: Backups[EmbeddedPostgres]) -> Stage:
    """A schema whose tables are read in small chunks, so that a backup lies between two of them."""
    tables = {"users": {"full_load_batch_size": ROWS_PER_CHUNK}}
    return staged(tmp_path, mongo_db.client, mongo_db.uri, backups.server.uri(), mongo_db.name, tables=tables)


# SPEC: T7, T8, R3  FAULTS: 18
def test_a_destination_restored_from_an_older_backup_is_brought_up_again(
    stage: Stage, backups: Backups[EmbeddedPostgres]
) -> None:
    users, orders = stage.machine("users"), stage.machine("orders")
    users.fill(10 * ROWS_PER_CHUNK)
    stage.inject("a backup in the middle of the first load")
    stage.dies("chunk.written=kill@4")
    backups.take()
    orders.fill(100)
    with stage.running() as process:
        stage.arrives()
        users.burst(150)
        stage.database["users"].update_many({"step": 0}, {"$set": {"added_later": "text"}})
        stage.arrives()
        with users.running(per_second=100):
            stage.inject("restored beneath the stream")
            backups.put_back()
            stage.eventually(lambda: "standing by" in stage.command.log or "interrupted" in stage.command.log)
        orders.burst(50)
        stage.judge(process)
