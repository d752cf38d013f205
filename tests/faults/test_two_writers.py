"""Two processes want to write the same: one does, the other stands by, or is fenced and says so."""

from __future__ import annotations

import signal
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.faults.stage import Stage, staged
from tests.faults.witness import Witness
from tests.fixtures.servers import MongoDatabase
from tests.pairs.process import stop

pytestmark = pytest.mark.servers

HOLDERS = (
    "select pid from cartridge_warp_metadata.leases where name = 'stream:' || %s and expires_at > clock_timestamp()"
)


# SPEC: T8, L2  FAULTS: 3 23
def test_one_that_is_frozen_in_a_transaction_is_replaced_and_writes_nothing_when_it_wakes(stage: Stage) -> None:
    machine = stage.machine()
    machine.fill(50)
    stage.command.once()
    witness = Witness.of(stage.warehouse, stage.schema)
    with stage.running(failpoints="commit.ready=stop") as first:
        machine.burst(30)
        stage.eventually(lambda: '"point": "commit.ready"' in stage.command.log)
        with stage.running() as second:
            stage.arrives()
            before = witness.seen()
            first.send_signal(signal.SIGCONT)
            stage.eventually(lambda: stands_by_again(stage))
            assert witness.seen() == before
            assert stop(second) == 0
        machine.burst(30)
        stage.judge(first)
    assert witness.gone_back() == []


# SPEC: T8  FAULTS: 3
def test_one_that_renews_its_lease_no_longer_is_replaced_and_fenced(stage: Stage) -> None:
    machine = stage.machine()
    machine.fill(50)
    stage.command.once()
    witness = Witness.of(stage.warehouse, stage.schema)
    with stage.running(failpoints="lease.renewing=sleep:3600") as first:
        stage.eventually(lambda: '"point": "lease.renewing"' in stage.command.log)
        with stage.running() as second:
            stage.eventually(lambda: second.pid in stage.query(HOLDERS))
            # Both read it now, and both want to write it.
            machine.burst(30)
            stage.arrives()
            stage.eventually(lambda: "taken over this stream" in stage.command.log)
            assert stop(first) == 0
            stage.judge(second)
    assert witness.gone_back() == []


# SPEC: T8, M5  FAULTS: 2 3
def test_a_reader_of_a_slice_that_is_frozen_in_a_transaction_is_replaced(stage: Stage) -> None:
    machine = stage.machine()
    machine.fill(500)
    with stage.running(failpoints="commit.ready=stop") as first:
        stage.eventually(lambda: '"point": "commit.ready"' in stage.command.log)
        with stage.running() as second:
            machine.burst(30)
            stage.arrives()
            first.send_signal(signal.SIGCONT)
            machine.burst(30)
            stage.eventually(lambda: stands_by_again(stage))
            assert stop(second) == 0
        stage.judge(first)


# SPEC: T8, X4  FAULTS: 3
@pytest.mark.parametrize("strategy", ["timestamp", "hash"])
def test_two_ticks_of_a_batch_table(tmp_path: Path, mongo_db: MongoDatabase, warehouse: str, strategy: str) -> None:
    stage = staged(
        tmp_path,
        mongo_db.client,
        mongo_db.uri,
        warehouse,
        mongo_db.name,
        mode="batch",
        top={"source": {"change_detection": {"strategy": strategy}}},
    )
    users = stage.database["users"]
    users.insert_many([{"_id": f"users-{n}", "life": 0, "step": 0, "updated_at": datetime.now(UTC)} for n in range(50)])
    stage.command.once()
    witness = Witness.of(warehouse, stage.schema)
    users.update_many({}, {"$set": {"step": 1, "updated_at": datetime.now(UTC)}})
    with stage.running("run", "--once", failpoints="tick.read=sleep:3600"):
        stage.eventually(lambda: '"point": "tick.read"' in stage.command.log)
        stage.command.once()
        assert "synchronised elsewhere" in stage.command.log
        stage.inject("kill -9")
    assert witness.seen() == []
    stage.command.once()
    assert len(witness.seen()) == 50
    users.update_many({}, {"$set": {"step": 2, "updated_at": datetime.now(UTC)}})
    with stage.running("run", "--once", failpoints="tick.read=stop") as first:
        stage.eventually(lambda: stage.command.log.count('"point": "tick.read"') == 2)
        stage.eventually(lambda: differences_after_a_tick(stage))
        seen = witness.seen()
        first.send_signal(signal.SIGCONT)
        assert first.wait(60) == 0
        assert "was taken over" in stage.command.log
    assert witness.seen() == seen
    assert [(one.operation, one.step) for one in seen] == [("update", 1)] * 50 + [("update", 2)] * 50
    assert stage.differences() == []


def stands_by_again(stage: Stage) -> bool:
    """Whether one that was frozen has found its transaction ended, and then its lease taken."""
    _, woke, since = stage.command.log.partition("interrupted, will try again")
    return bool(woke) and "standing by" in since


def differences_after_a_tick(stage: Stage) -> list[str]:
    """The first one finds the table held, until the lease of the one that is frozen is lost."""
    stage.command.once()
    return stage.differences()
