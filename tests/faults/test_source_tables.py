"""Tables that leave the list and come back, that are dropped, renamed, made anew, and a database that goes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.faults.stage import Stage
from tests.pairs.oracle import rows
from tests.pairs.process import Command, stop

pytestmark = pytest.mark.servers

_TOLD = "select table_name || ' ' || error_type from cartridge_warp_metadata.error_log where schema_name = %s"
_MARKER = "select position::text from cartridge_warp_metadata.sync_markers where schema_name = %s and table_name = ''"


# SPEC: M5, T7  FAULTS: 7, 11
def test_the_position_is_an_event_that_the_new_list_leaves_out(stage: Stage, tmp_path: Path) -> None:
    left, right = stage.machine("left"), stage.machine("right", seed=2)
    left.fill(50)
    right.fill(50)
    # One event to a cut, so that a marker is the token of an event.
    stage.command = _command(stage, tmp_path, stream_batch_size=1)
    stage.command.once()
    before = stage.query(_MARKER)
    for machine in (left, right, left, right):
        machine.burst(5)
        _write_and_delete(machine.collection)
    stage.dies("cut.written=kill@1")
    assert stage.query(_MARKER) != before
    stage.command = _command(stage, tmp_path, table_whitelist=["right"], stream_batch_size=1)
    right.burst(20)
    stage.inject("a shorter list")
    stage.command.once()
    assert stage.differences("right") == []
    left.burst(30)
    left.collection.delete_many({"_id": {"$in": sorted(left.alive)[:10]}})
    stage.inject("the whole list again")
    stage.command = _command(stage, tmp_path, stream_batch_size=1)
    stage.judge()


# SPEC: X3, M3  FAULTS: 9
def test_tables_go_and_come_in_a_running_stream(stage: Stage, tmp_path: Path) -> None:
    policies = {"kept": "keep", "followed": "follow", "failing": "fail", "spare": "follow", "taken": "follow"}
    tables = {name: {"on_source_change": policy} for name, policy in policies.items()}
    stage.command = _command(stage, tmp_path, tables=tables)
    users, database = stage.machine(), stage.database
    users.fill(100)
    for name in policies:
        stage.machine(name).fill(30)
    with stage.running() as process:
        stage.arrives()
        with users.running(30):
            stage.inject("collections are dropped")
            for name in ("kept", "followed", "failing"):
                database[name].drop()
            stage.eventually(lambda: "failing table_set_aside" in stage.query(_TOLD))
            stage.eventually(lambda: not _keys(stage, "followed"))
            assert len(_keys(stage, "kept")) == len(_keys(stage, "failing")) == 30
            stage.inject("they are made anew, and one takes another's name")
            for name in ("kept", "followed", "failing"):
                database[name].insert_many([{"_id": f"new {number}", "n": number} for number in range(5)])
            database["spare"].rename("taken", dropTarget=True)
            stage.eventually(lambda: stage.differences("followed", "taken") == [] and not _keys(stage, "spare"))
            stage.eventually(lambda: len(_keys(stage, "kept")) == 35)
        stage.arrives("users", "followed", "taken")
        stage.inject("the database is dropped")
        stage.client.drop_database(stage.schema)
        again = stage.machine(seed=3)
        again.fill(10)
        stage.eventually(lambda: " source_database_dropped" in stage.query(_TOLD))
        again.burst(20)
        stage.eventually(lambda: again.alive.keys() <= set(_keys(stage, "users")))
        assert (len(_keys(stage, "kept")), _keys(stage, "followed")) == (35, [])
        assert stop(process) == 0
    # What was kept goes when it is read again, and who was set aside comes back.
    stage.command = _command(stage, tmp_path)
    stage.command.once("--full-resync")
    kinds = ("dropped", "renamed", "replaced", "database_dropped")
    stage.judge(errors={*(f"source_{kind}" for kind in kinds), "table_set_aside", "generation_abandoned"})


def _write_and_delete(collection: Any) -> None:
    """Changes of which none is to be seen any more when they are looked up."""
    collection.insert_one({"_id": "short life", "step": 0})
    for step in range(3):
        collection.update_one({"_id": "short life"}, {"$set": {"step": step}})
    collection.delete_one({"_id": "short life"})


def _keys(stage: Stage, table: str) -> list[Any]:
    return [row["_id"] for row in rows(stage.warehouse, stage.schema, table)]


def _command(stage: Stage, folder: Path, **options: Any) -> Command:
    uri = stage.config.source.connection_string.get_secret_value()
    return Command(folder, uri, stage.warehouse, stage.schema, **options)
