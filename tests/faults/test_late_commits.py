"""Batch tables by a marker column: what commits late, what has no marker, and what no marker can find."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pymongo.collection import Collection

from tests.faults.stage import Stage, staged
from tests.fixtures.servers import MongoDatabase

pytestmark = pytest.mark.servers

Documents = Collection[dict[str, Any]]

LOOKBACK = timedelta(minutes=5)


@pytest.fixture
def batch(tmp_path: Path, mongo_db: MongoDatabase, warehouse: str) -> Stage:
    schedule = {"mode": "batch", "schedule": "*/5 * * * *"}
    return staged(tmp_path, mongo_db.client, mongo_db.uri, warehouse, mongo_db.name, **schedule)


# SPEC: M2, R5  FAULTS: 25
def test_what_commits_within_lookback_arrives_and_the_rest_is_found(batch: Stage) -> None:
    users, now = batch.database["users"], datetime.now(UTC).replace(microsecond=0)
    users.insert_many([{"_id": f"key {n}", "n": n, "updated_at": now - timedelta(seconds=n)} for n in range(200)])
    users.insert_one({"_id": "unmarked", "n": 0})
    batch.command.once()
    with batch.client.start_session() as session:
        session.start_transaction()
        at_the_edge, late, too_late = now, now - LOOKBACK + timedelta(seconds=30), now - 2 * LOOKBACK
        batch.inject("a transaction that is dated at the marker and before it, and commits after the next tick")
        _put(users, at_the_edge, "edge", session=session)
        _put(users, late, "late", session=session)
        users.insert_one({"_id": "later", "n": 1, "updated_at": now})
        users.update_one({"_id": "unmarked"}, {"$set": {"n": 1}})
        batch.command.once()
        assert batch.differences() == []
        session.commit_transaction()
    batch.inject("a document that is dated before all that a tick reads")
    _put(users, too_late, "too late")
    batch.command.once()
    assert batch.differences() == ["users: too late is missing"]
    # What a marker cannot find, ``verify`` does; strategy ``hash`` needs no marker at all.
    assert batch.command.start("verify", "--repair").wait(60) == 0, batch.command.log[-2000:]
    assert 'missing: {"_id": "too late"}' in batch.command.log
    assert batch.differences() == []


def _put(users: Documents, at: datetime, key: str, **options: Any) -> None:
    users.insert_one({"_id": key, "n": 1, "updated_at": at}, **options)
