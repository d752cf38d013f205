"""The same comes twice, or late: what is newer stays."""

from __future__ import annotations

import signal

import psycopg
import pytest
from bson import Int64

from tests.faults.stage import Stage
from tests.faults.witness import Witness

pytestmark = pytest.mark.servers

LETTERS = (
    "select primary_key || ' ' || status from cartridge_warp_metadata.dead_letters where schema_name = %s order by 1"
)
DELETED = "select count(*) from cartridge_warp_metadata.deletion_log where schema_name = %s"
POSITION = (
    "select position::text from cartridge_warp_metadata.sync_markers"
    " where schema_name = %s and table_name = '' and marker_type = 'stream'"
)
PUT_BACK = (
    "update cartridge_warp_metadata.sync_markers set position = %s"
    " where schema_name = %s and table_name = '' and marker_type = 'stream'"
)


# SPEC: T7  FAULTS: 23
def test_a_stream_that_is_put_back_delivers_everything_again_and_changes_nothing(stage: Stage) -> None:
    machine = stage.machine()
    machine.fill(50)
    stage.command.once()
    [before] = stage.query(POSITION)
    machine.burst(80)
    stage.command.once()
    witness = Witness.of(stage.warehouse, stage.schema)
    deleted = stage.query(DELETED)
    stage.inject("the marker is put back, within its epoch")
    with psycopg.connect(stage.warehouse, autocommit=True) as connection:
        connection.execute(PUT_BACK, [before, stage.schema])
    stage.judge()
    assert stage.query(DELETED) == deleted
    assert {one.operation for one in witness.seen()} <= {"update"}
    assert witness.gone_back() == []


# SPEC: T5  FAULTS: 3 23
def test_a_letter_that_is_replayed_after_a_newer_write_or_delete(stage: Stage) -> None:
    users = stage.database["users"]
    users.insert_many([{"_id": key, "v": Int64(1)} for key in "abcd"])
    stage.command.once()
    users.update_many({"_id": {"$ne": "d"}}, {"$set": {"v": {"too": "much"}}})
    stage.command.once()
    assert stage.query(LETTERS) == [f'{{"_id": "{key}"}} pending' for key in "abc"]
    with stage.running("dead-letters", "replay", "--all", failpoints="letters.read=stop") as replay:
        stage.eventually(lambda: "letters.read" in stage.command.log)
        users.update_one({"_id": "a"}, {"$set": {"v": Int64(100)}})
        users.delete_one({"_id": "b"})
        stage.command.once()
        replay.send_signal(signal.SIGCONT)
        replay.wait(60)
    assert stage.query(LETTERS) == [
        '{"_id": "a"} superseded',
        '{"_id": "b"} superseded',
        '{"_id": "c"} pending',
    ]
    users.delete_one({"_id": "c"})
    stage.judge(errors={"drastic_change"})
