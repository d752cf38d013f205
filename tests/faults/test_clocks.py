"""Clocks that are an hour off, or are set back by one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from tests.faults.stage import Stage, staged
from tests.fixtures.servers import MongoDatabase

pytestmark = pytest.mark.servers

HOUR = timedelta(hours=1)
_MARKER = """
update cartridge_warp_metadata.sync_markers set position = jsonb_set(position, '{value}', to_jsonb(%s::text))
where schema_name = %s and table_name = 'users' and marker_type = 'batch'
"""
_LEASE = """
insert into cartridge_warp_metadata.leases (name, token, host, pid, started, label, expires_at)
values (%s, gen_random_uuid(), 'another host', 1, 0, '', clock_timestamp() + interval '1 hour')
"""


@pytest.fixture
def batch(tmp_path: Path, mongo_db: MongoDatabase, warehouse: str) -> Stage:
    schedule = {"mode": "batch", "schedule": "*/5 * * * *"}
    return staged(tmp_path, mongo_db.client, mongo_db.uri, warehouse, mongo_db.name, **schedule)


# SPEC: M2, T8  FAULTS: 24
def test_clocks_that_are_an_hour_off(batch: Stage) -> None:
    _put(batch, "right", HOUR * 0)
    batch.inject("one writer's clock is an hour ahead of the others'")
    _put(batch, "ahead", HOUR)
    batch.command.once()
    _put(batch, "right, after it", HOUR * 0)
    _put(batch, "ahead, after it", HOUR)
    batch.command.once()
    assert batch.differences() == []
    batch.inject("the source's clock is set back by an hour: the marker has a time to come")
    batch.inject("the destination's clock is set back by an hour: a lease that nobody renews has its end far ahead")
    ahead = (datetime.now(UTC) + HOUR).isoformat(timespec="microseconds")
    with psycopg.connect(batch.warehouse) as connection:
        assert connection.execute(_MARKER, [ahead, batch.schema]).rowcount == 1
        connection.execute(_LEASE, [f"batch:{batch.schema}.users"])
    _put(batch, "right, after all", HOUR * 0)
    batch.command.once()
    assert batch.differences() == []


def _put(stage: Stage, key: str, off: timedelta) -> None:
    at = datetime.now(UTC).replace(microsecond=0) + off
    stage.database["users"].insert_one({"_id": key, "updated_at": at})
