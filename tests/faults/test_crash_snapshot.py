"""The process is killed in each part of a snapshot; what is read to its end is not read again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest
from psycopg import sql

from tests.faults.stage import Stage, staged
from tests.fixtures.servers import MongoDatabase

pytestmark = pytest.mark.servers

ROWS, CHUNK = 2000, 100
HELPED_ROWS = 110_000
CHUNK_READS = {"op": "query", "command.hint": {"$exists": True}}
"""In MongoDB's profile: nothing else asks for a certain index."""

AT_WORK = """
select from cartridge_warp_metadata.leases as l
where l.name like 'slice:' || %s || '.%%' and l.pid <> %s and exists (
    select from cartridge_warp_metadata.slices as s
    where s.resume is not null and l.name = 'slice:' || s.schema_name || '.' || s.table_name || ':' || s.slice
)
"""


@pytest.fixture
def stage(tmp_path: Path, mongo_db: MongoDatabase, warehouse: str) -> Stage:
    """Eight slices of two or three chunks each."""
    return staged(tmp_path, mongo_db.client, mongo_db.uri, warehouse, mongo_db.name, full_load_batch_size=CHUNK)


# SPEC: T7, M5  FAULTS: 2
def test_nothing_that_was_written_is_read_again(stage: Stage) -> None:
    machine = stage.machine()
    machine.fill(ROWS)
    with read_once(stage, "users", ROWS):
        for point in ("stream.admitted", "generation.opened", "slice.taken", "chunk.read=@2", "chunk.written=@2"):
            dies_at(stage, point)
            machine.burst(20)
        # Between the snapshot and the stream.
        dies_at(stage, "generation.read")
        machine.burst(20)
        stage.command.once()
    orders = stage.machine("orders")
    orders.fill(300)
    with read_once(stage, "orders", 300):
        for point in ("stream.admitted", "chunk.read", "chunk.written"):
            dies_at(stage, point)
            orders.burst(20)
        stage.command.once()
    stage.judge()


# SPEC: T7, M5  FAULTS: 2
def test_a_resync_goes_on_where_it_was_killed(stage: Stage) -> None:
    machine = stage.machine()
    machine.fill(ROWS)
    stage.command.once()
    add_ghost(stage)
    resync = "resync", "--table", f"{stage.schema}.users"
    with read_once(stage, "users", ROWS):
        for point in ("generation.opened", "chunk.read=@3", "slice.read", "generation.read"):
            dies_at(stage, point, *resync)
            machine.burst(20)
        process = stage.start(*resync)
        assert process.wait(60) == 0, stage.command.log[-3000:]
    stage.judge()


# SPEC: T8, M5  FAULTS: 2
def test_the_second_process_of_a_snapshot_is_killed(tmp_path: Path, mongo_db: MongoDatabase, warehouse: str) -> None:
    options = {"full_load_batch_size": 5_000, "max_parallel_streams": 2}
    stage = staged(tmp_path, mongo_db.client, mongo_db.uri, warehouse, mongo_db.name, **options)
    stage.database["users"].insert_many([{"_id": number, "n": number} for number in range(HELPED_ROWS)])
    with read_once(stage, "users", HELPED_ROWS, 5_000):
        process = stage.start("run", "--once", failpoints="chunk.written=sleep:0.2%100")
        stage.eventually(lambda: helper_is_at_work(stage, process.pid))
        stage.inject("kill -9 of the second process")
        for child in psutil.Process(process.pid).children():
            child.kill()
        assert process.wait(60) == 0, stage.command.log[-3000:]
    stage.judge()


def helper_is_at_work(stage: Stage, parent: int) -> bool:
    """Whether another process than the stream's holds a slice, and some of one is written."""
    with psycopg.connect(stage.warehouse) as connection:
        prepared = connection.execute("select to_regclass('cartridge_warp_metadata.leases')").fetchone()
        if prepared == (None,):
            return False
        found = connection.execute(AT_WORK, [stage.schema, parent]).fetchone()
    return found is not None


def dies_at(stage: Stage, point: str, *arguments: str) -> None:
    """``point`` may say at which passing: ``chunk.read=@2``."""
    name, _, hit = point.partition("=")
    stage.dies(f"{name}=kill{hit}", *arguments)


def add_ghost(stage: Stage) -> None:
    """A row that the source does not have: only a reading to its end finds that."""
    statement = "insert into {} (_id, _warp_sequence, _warp_synced_at) values ('ghost', 1, now())"
    with psycopg.connect(stage.warehouse, autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(sql.Identifier(stage.schema, "users")))


@contextmanager
def read_once(stage: Stage, table: str, rows: int, chunk: int = CHUNK) -> Iterator[None]:
    """Within the block, chunks bring each row of a table once, but for a chunk that was read and not written.

    The load may add and remove some as well.
    """
    stage.database.command("profile", 2)
    yield
    stage.database.command("profile", 0)
    profile = stage.database["system.profile"]
    read = sum(found["nreturned"] for found in profile.find({**CHUNK_READS, "command.find": table}))
    profile.drop()
    assert rows - chunk < read < rows + 2 * chunk, read
