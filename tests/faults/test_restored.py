"""A destination that is put back to an older backup beneath a running stream."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.stage import Stage, staged
from tests.fixtures.servers import MongoDatabase
from warp_resources.connectors.postgresql.embedded import EmbeddedPostgres

pytestmark = pytest.mark.servers

SETTINGS = {"shared_buffers": "32MB", "fsync": "off"}
ROWS_PER_CHUNK = 40


class Backups:
    """A server of which copies are taken, and put back."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.server = EmbeddedPostgres(folder, settings=SETTINGS)
        self.server.start()

    def take(self) -> None:
        self.server.kill()
        self._copy("data", "backup")
        self.server.restart()

    def put_back(self) -> None:
        self.server.kill()
        self._copy("backup", "data")
        self.server.restart()

    def _copy(self, source: str, target: str) -> None:
        shutil.rmtree(self._folder / target, ignore_errors=True)
        subprocess.run(["cp", "-a", str(self._folder / source), str(self._folder / target)], check=True)


@pytest.fixture
def backups() -> Iterator[Backups]:
    folder = Path(tempfile.mkdtemp(prefix="cartridge-warp-backup-", dir="/var/tmp"))
    made = Backups(folder)
    try:
        yield made
    finally:
        made.server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def stage(tmp_path: Path, mongo_db: MongoDatabase, backups: Backups) -> Stage:
    """A schema whose tables are read in small chunks, so that a backup lies between two of them."""
    tables = {"users": {"full_load_batch_size": ROWS_PER_CHUNK}}
    return staged(tmp_path, mongo_db.client, mongo_db.uri, backups.server.uri(), mongo_db.name, tables=tables)


# SPEC: T7, T8, R3  FAULTS: 18
def test_a_destination_restored_from_an_older_backup_is_brought_up_again(stage: Stage, backups: Backups) -> None:
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
