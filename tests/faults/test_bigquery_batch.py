"""Batch tables in BigQuery: ticks that are killed, that meet, and that wake when another has taken over."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.faults.bigquery_stage import BigQueryStage, bigquery_stage
from tests.fixtures.servers import BigQueryProject, MongoDatabase
from tests.pairs.bigquery_tables import Tables
from warp_resources.pipeline.marker import time_of

pytestmark = pytest.mark.servers

ROWS, CHUNK = 60, 25
CHANGED, ADDED, REMOVED = 30, 5, 4
BOTH = pytest.mark.parametrize("strategy", ["timestamp", "hash"])
DELETED = "select primary_key from cartridge_warp_metadata.deletion_log where schema_name = %s"
COUNTED = (
    "select concat(sum(rows_written), ' ', sum(rows_deleted)) from cartridge_warp_metadata.sync_runs"
    " where schema_name = %s and mode = '{}'"
)
MARKER = (
    "select to_json_string(position) from cartridge_warp_metadata.sync_markers"
    " where schema_name = %s and marker_type = 'batch' and table_name = 'users'"
)
SAID = (
    "select error_type from cartridge_warp_metadata.error_log where schema_name = %s"
    " union all select reason from cartridge_warp_metadata.dead_letters where schema_name = %s"
)


@dataclass
class Batch:
    """A batch table: what was done to its source, and what the ticks are to have made of that."""

    stage: BigQueryStage
    tables: Tables
    strategy: str
    turns: int = 0

    @property
    def removed(self) -> int:
        """How many rows a turn removes that a tick can tell of."""
        return REMOVED if self.strategy == "hash" else 0

    def fill(self) -> None:
        rows = [{"_id": f"users-{number:03d}", "step": 0, "updated_at": now()} for number in range(ROWS)]
        self.stage.database["users"].insert_many(rows)

    def turn(self) -> None:
        """Updates, inserts and, where ticks see them, deletes; each of another key."""
        users = self.stage.database["users"]
        change = {"$inc": {"step": 1}, "$set": {"updated_at": now()}}
        users.update_many({"_id": {"$gte": "users-", "$lt": f"users-{CHANGED:03d}"}}, change)
        keys = [f"new-{self.turns}-{number}" for number in range(ADDED)]
        users.insert_many([{"_id": key, "step": self.turns, "updated_at": now()} for key in keys])
        last = ROWS - self.turns * REMOVED
        users.delete_many({"_id": {"$in": [f"users-{last - 1 - number:03d}" for number in range(self.removed)]}})
        self.turns += 1

    def seen(self) -> tuple[Any, ...]:
        """Which commit wrote each row, and what was counted and logged so far."""
        counted, deleted = self.stage.query(COUNTED.format("batch")), self.stage.query(DELETED)
        return self.tables.sequences(self.stage.schema, "users"), counted, sorted(deleted)

    def judge(self) -> None:
        """All of it arrived, each change once, the marker is at the end, and nothing had to be said."""
        self.stage.command.once()
        assert self.stage.differences() == []
        assert self.stage.query(COUNTED.format("snapshot")) == [f"{ROWS} 0"]
        _, counted, deleted = self.seen()
        assert counted == [f"{self.turns * (CHANGED + ADDED)} {self.turns * self.removed}"]
        assert len(deleted) == len(set(deleted)) == self.turns * self.removed
        assert self.stage.query(SAID) == []
        if self.strategy == "timestamp":
            [marker] = self.stage.query(MARKER)
            [last] = self.stage.database["users"].find().sort("updated_at", -1).limit(1)
            assert time_of(json.loads(marker)) == last["updated_at"]

    def leftovers(self) -> list[str]:
        """The staging tables that nobody has dropped."""
        with closing(self.stage.session()) as session:
            found = session.client.list_tables(f"{session.project}.cartridge_warp_staging")
            return [table.table_id for table in found]


def now() -> datetime:
    """As exactly as the source keeps it."""
    at = datetime.now(UTC)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


@pytest.fixture
def strategy() -> str:
    return "hash"


@pytest.fixture
def batch(tmp_path: Path, mongo_db: MongoDatabase, bigquery: BigQueryProject, strategy: str) -> Iterator[Batch]:
    tables = Tables(bigquery)
    yield Batch(staged(tmp_path, mongo_db, bigquery, strategy), tables, strategy)
    tables.session.close()


def staged(folder: Path, source: MongoDatabase, project: BigQueryProject, strategy: str) -> BigQueryStage:
    """A stage whose leases are in a file of its own, as if it were another host."""
    detection = {"strategy": strategy, "column": "updated_at"}
    table = {"full_load_batch_size": CHUNK, "change_detection": detection}
    return bigquery_stage(folder, source, project, mode="batch", tables={"users": table})


# SPEC: T7, X4, M2  FAULTS: 1, 2
@BOTH
def test_ticks_that_are_killed_lose_and_repeat_nothing(batch: Batch) -> None:
    batch.fill()
    for point in ("chunk.read=kill@2", "commit.staged=kill"):
        batch.stage.dies(point)
    batch.stage.command.once()
    batch.turn()
    before = batch.seen()
    batch.stage.dies("commit.staged=kill")
    assert batch.seen() == before
    batch.stage.dies("commit.done=kill")
    assert batch.seen() != before
    batch.judge()


# SPEC: T8  FAULTS: 3
@pytest.mark.parametrize("strategy", ["timestamp"])
def test_two_ticks_at_once_are_one(batch: Batch) -> None:
    batch.fill()
    batch.stage.command.once()
    batch.turn()
    before = batch.seen()
    with batch.stage.running("run", "--once", failpoints="tick.read=sleep:3600"):
        batch.stage.eventually(lambda: '"point": "tick.read"' in batch.stage.command.log)
        batch.stage.command.once()
        assert "synchronised elsewhere" in batch.stage.command.log
        assert batch.seen() == before
        batch.stage.inject("kill -9")
    batch.stage.inject("two at the same moment")
    with batch.stage.running("run", "--once") as first, batch.stage.running("run", "--once") as second:
        assert (first.wait(60), second.wait(60)) == (0, 0), batch.stage.command.log[-3000:]
    batch.judge()


# SPEC: T8  FAULTS: 3, 23
def test_a_tick_that_is_frozen_with_all_staged_is_fenced_when_it_wakes(
    batch: Batch, tmp_path: Path, mongo_db: MongoDatabase, bigquery: BigQueryProject
) -> None:
    batch.fill()
    batch.stage.command.once()
    batch.turn()
    (tmp_path / "other").mkdir()
    # No lease tells this one of the other: the fence is in the destination.
    other = staged(tmp_path / "other", mongo_db, bigquery, batch.strategy)
    with batch.stage.running("run", "--once", failpoints="commit.staged=stop") as frozen:
        batch.stage.eventually(lambda: '"point": "commit.staged"' in batch.stage.command.log)
        staged_by_it = set(batch.leftovers())
        assert staged_by_it
        other.command.once()
        batch.turn()
        other.command.once()
        assert batch.stage.differences() == []
        before = batch.seen()
        frozen.send_signal(signal.SIGCONT)
        assert frozen.wait(60) == 0, batch.stage.command.log[-3000:]
    assert "was taken over" in batch.stage.command.log
    assert batch.seen() == before
    assert not staged_by_it & set(batch.leftovers())
    batch.judge()
