"""The command ``resync``: slices in two processes, progress that counts what anybody reads, kills."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.cli.conftest import Warp, execute, query, wait_for
from tests.fixtures.servers import MongoDatabase
from warp_resources.cli.readings import readings_of
from warp_resources.config import WarpConfig
from warp_resources.pipeline.options import open_destination
from warp_resources.pipeline.reading_progress import ReadingProgress

ROWS = 2000
SLOW = {"CARTRIDGE_WARP_FAILPOINTS": "chunk.written=sleep:0.1%100"}
READERS = "select distinct pid from cartridge_warp_metadata.leases where name like 'slice:%' and expires_at > now()"
READ = "select coalesce(sum(row_count), 0) from cartridge_warp_metadata.slices where generation like 'resync-%'"


@pytest.fixture
def large(shop: Warp, settings: dict[str, Any], mongo_db: MongoDatabase) -> Warp:
    """A table of eight slices and many chunks, loaded, then spoiled."""
    mongo_db.database.users.delete_many({})
    at = datetime(2024, 5, 1, tzinfo=UTC)
    mongo_db.database.users.insert_many(
        [{"_id": n, "name": f"user {n}", "n": n, "updated_at": at} for n in range(ROWS)]
    )
    settings["schemas"][0]["table_whitelist"] = ["users"]
    settings["schemas"][0]["tables"] = {"users": {"full_load_batch_size": 50}}
    shop.write(settings)
    shop.ok("run", "--once")
    warehouse = settings["destination"]["connection_string"]
    execute(warehouse, "update shop.users set name = 'spoiled'", "delete from shop.users where _id < 5")
    execute(
        warehouse,
        "insert into shop.users (_id, n, _warp_sequence, _warp_synced_at) values (-7, 0, 1, now())",
    )
    return shop


def readers(warehouse: str) -> set[int]:
    return {pid for (pid,) in query(warehouse, READERS)}


def readings(warp: Warp) -> tuple[ReadingProgress, ...]:
    """What ``status`` would say, without the start of a command: the reading goes on meanwhile."""
    config = WarpConfig.from_file(warp.config)
    with closing(open_destination(config)) as destination, closing(destination.state_store()) as store:
        return readings_of(destination, store, "shop", destination.table_states("shop"))["users"]


def is_mended(warehouse: str) -> bool:
    found = query(
        warehouse, "select count(*), count(*) filter (where name = 'user ' || _id and n = _id) from shop.users"
    )
    return found == [(ROWS, ROWS)]


def test_two_processes_read_and_one_of_them_is_killed(large: Warp, warehouse: str) -> None:
    # SPEC: M5, L4
    large.environ = SLOW
    child = large.start("resync", "--table", "shop.users", "--slices", "8", "--json")
    wait_for(lambda: len(readers(warehouse)) == 2)
    [reading] = readings(large)
    [helper] = readers(warehouse) - {child.pid}
    os.kill(helper, signal.SIGKILL)
    text, _ = child.communicate(timeout=60)
    assert child.returncode == 0, text
    assert is_mended(warehouse)
    assert (reading.slice_count, reading.reader_count) == (8, 2)
    assert ROWS - 10 < (reading.row_estimate or 0) < ROWS + 10
    told = [json.loads(line) for line in text.splitlines() if '"done"' in line]
    assert (told[-1]["done"], told[-1]["rows"], told[-1]["slices_done"]) == (True, ROWS, 8)


def test_a_killed_resync_leaves_nobody_reading_and_goes_on(large: Warp, warehouse: str) -> None:
    # SPEC: M5, L4  FAULTS: 2
    large.environ = SLOW
    child = large.start("resync", "--table", "shop.users", "--slices", "8")
    wait_for(lambda: len(readers(warehouse)) == 2)
    wait_for(lambda: query(warehouse, READ)[0][0] >= 400)
    child.send_signal(signal.SIGKILL)
    child.wait(10)
    wait_for(lambda: not readers(warehouse))
    [(before,)] = query(warehouse, READ)
    [told] = [line["readings"] for line in large.json("status", "--json") if line["table"] == "users"]
    assert [(one["rows"], one["reader_count"], one["seconds_left"]) for one in told] == [(before, 0, None)]
    assert "nobody reads it now" in large.run("status").stderr
    large.environ = {}
    done = large.run("resync", "--table", "shop.users")
    assert done.returncode == 0, done.stderr
    assert f"{ROWS - before:,} rows in" in done.stderr
    assert f"after {before:,} rows that were read before" in done.stderr
    assert is_mended(warehouse)


def test_a_frozen_resync_loses_its_slice_to_its_helper_and_goes_on(large: Warp, warehouse: str) -> None:
    # SPEC: M5, T8  FAULTS: 3
    large.environ = SLOW
    child = large.start("resync", "--table", "shop.users", "--slices", "2")
    wait_for(lambda: len(readers(warehouse)) == 2)
    frozen = _slices_of(warehouse, child)
    child.send_signal(signal.SIGSTOP)
    try:
        # Its helper reads on, and takes the slice over once the lease has run out.
        wait_for(lambda: bool(frozen) and _slices_of(warehouse, child) == [])
    finally:
        child.send_signal(signal.SIGCONT)
    text, _ = child.communicate(timeout=60)
    assert child.returncode == 0, text
    assert "slice was taken over" in text
    assert is_mended(warehouse)


def _slices_of(warehouse: str, child: subprocess.Popen[str]) -> list[Any]:
    return query(warehouse, f"{READERS} and pid = {child.pid}")
