"""Changes that are larger than what carries them: transactions, documents, events and keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.faults.stage import Stage
from tests.pairs.process import Command

pytestmark = pytest.mark.servers

_MEGABYTE = 1_000_000
_MOST = 16 * 2**20 - 200
"""With key and names, nearly the largest document there can be."""
_KINDS = "select error_type from cartridge_warp_metadata.error_log where schema_name = %s"
_LETTERS = "select reason from cartridge_warp_metadata.dead_letters where schema_name = %s and status = 'pending'"


# SPEC: T7, C3  FAULTS: 10
@pytest.mark.parametrize(("max_memory", "point"), [("384MB", "cut.written"), ("2GB", "commit.ready")])
def test_a_transaction_of_several_oplog_entries(stage: Stage, tmp_path: Path, max_memory: str, point: str) -> None:
    machine, audit = stage.machine(), stage.database["audit"]
    machine.fill(100)
    audit.insert_many([{"_id": number} for number in range(10)])
    stage.command = _command(stage, tmp_path, top={"performance": {"max_memory": max_memory}})
    stage.command.once()
    with stage.client.start_session() as session, session.start_transaction():
        for number in range(24):
            large = {"_id": f"whole {number}", "body": "x" * _MEGABYTE}
            machine.collection.insert_one(large, session=session)
            audit.update_one({"_id": number % 10}, {"$inc": {"count": 1}}, session=session)
        machine.collection.update_many({"_id": {"$regex": "^whole"}}, {"$set": {"step": 1}}, session=session)
        audit.delete_many({"_id": {"$gte": 8}}, session=session)
    machine.burst(20)
    stage.dies(f"{point}=kill")
    [arrived] = stage.query(_whole(stage))
    machine.burst(20)
    if max_memory == "384MB":
        assert 0 < arrived < 24, "the process was not killed inside the transaction"
    else:
        assert arrived == 0, "a part of the transaction was committed"
    stage.judge()
    sequences = stage.query(_sequences(stage))
    assert (sequences == [1]) == (max_memory == "2GB")


# SPEC: E7, E9  FAULTS: 12
def test_documents_events_and_keys_at_the_limit_of_16_megabytes(stage: Stage) -> None:
    machine, collection = stage.machine(), stage.database["users"]
    machine.fill(50)
    with stage.running() as process:
        stage.arrives()
        with machine.running(20):
            stage.inject("a document of 16 MB, an event beyond it, a key too large for an index")
            collection.insert_one({"_id": "grown", "body": "x"})
            collection.update_one({"_id": "grown"}, {"$set": {"body": "y" * _MOST}})
            collection.insert_one({"_id": "huge", "body": "z" * _MOST})
            collection.replace_one({"_id": "huge"}, {"body": "x" * _MOST})
            collection.insert_one({"_id": "k" * 1_500_000, "body": "x" * 13_000_000})
            stage.eventually(lambda: len(stage.query(_LETTERS)) == 1)
            stage.eventually(lambda: stage.query(_huge(stage)) == [2])
            stage.inject("a key that no event can carry")
            collection.insert_one({"_id": "K" * 5_000_000})
            stage.eventually(lambda: len(stage.query(_LETTERS)) == 2)
            collection.delete_many({"_id": {"$regex": "^[kK]{9}"}})
            stage.eventually(lambda: stage.query(_LETTERS))
        # Where nothing follows such an event, MongoDB cannot send it at all, and the table is read again.
        lawful = {"history_lost"} & set(stage.query(_KINDS))
        stage.judge(process, errors={"key_too_long", *lawful})


def _huge(stage: Stage) -> str:
    return f"select count(*) from \"{stage.schema}\".users where length(body) = {_MOST} and %s <> ''"


def _whole(stage: Stage) -> str:
    return f"select count(*) from \"{stage.schema}\".users where _id like 'whole %%' and %s <> ''"


def _sequences(stage: Stage) -> str:
    return f"select count(distinct _warp_sequence) from \"{stage.schema}\".users where _id like 'whole %%' and %s <> ''"


def _command(stage: Stage, folder: Path, **options: Any) -> Command:
    uri = stage.config.source.connection_string.get_secret_value()
    return Command(folder, uri, stage.warehouse, stage.schema, **options)
