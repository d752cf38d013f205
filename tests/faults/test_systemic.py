"""What no row is to blame for: privileges that are revoked, and tables that are dropped under a running stream."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from tests.faults.stage import Stage, staged
from tests.fixtures.servers import MongoDatabase
from tests.pairs.process import stop

pytestmark = pytest.mark.servers

TABLES = ("items", "orders", "users")
ASIDE = (
    "select table_name from cartridge_warp_metadata.sync_markers where schema_name = %s and aside_position is not null"
)
REASON = (
    "select aside_reason from cartridge_warp_metadata.sync_markers where schema_name = %s and aside_reason is not null"
)
LETTERS = "select count(*) from cartridge_warp_metadata.dead_letters where schema_name = %s"


@pytest.fixture
def role(warehouse: str) -> Iterator[str]:
    """A role that may make schemas in the warehouse, and nothing that it does not own."""
    name, database = f"warp_{uuid.uuid4().hex[:12]}", urlsplit(warehouse).path[1:]
    administer(warehouse, "create role {} login", name)
    administer(warehouse, "grant create, temporary on database {} to {}", database, name)
    yield name
    administer(warehouse, "drop owned by {}", name)
    administer(warehouse, "drop role {}", name)


@pytest.fixture
def stage(tmp_path: Path, mongo_db: MongoDatabase, warehouse: str, role: str) -> Stage:
    """A schema of three collections that is written by a role without other grants."""
    made = staged(tmp_path, mongo_db.client, mongo_db.uri, warehouse.replace("postgres@", f"{role}@"), mongo_db.name)
    made.warehouse = warehouse
    return made


def administer(warehouse: str, statement: str, *names: str) -> None:
    with psycopg.connect(warehouse, autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


# SPEC: M3, R1, R3  FAULTS: 14
def test_a_revoked_privilege_stops_what_needs_it_until_it_is_back(stage: Stage, role: str) -> None:
    machines = [stage.machine(name, seed) for seed, name in enumerate(TABLES)]
    for machine in machines:
        machine.fill(50)

    def burst() -> None:
        for machine in machines:
            machine.burst(40)

    with stage.running() as process:
        stage.arrives()
        stage.inject("insert and update of one table revoked")
        administer(stage.warehouse, "revoke insert, update on {}.orders from {}", stage.schema, role)
        burst()
        stage.eventually(lambda: stage.query(ASIDE) == ["orders"])
        burst()
        stage.arrives("items", "users")
        [reason] = stage.query(REASON)
        assert "permission denied" in reason
        assert "grant select, insert, update, delete on" in reason
        administer(stage.warehouse, "grant insert, update on {}.orders to {}", stage.schema, role)
        stage.arrives()
        stage.eventually(lambda: stage.query(ASIDE) == [])
        stage.inject("usage of the schema revoked")
        administer(stage.warehouse, "revoke all on schema {} from {}", stage.schema, role)
        burst()
        stage.eventually(lambda: "permission denied for schema" in stage.command.log)
        burst()
        assert process.poll() is None, stage.command.log[-3000:]
        administer(stage.warehouse, "grant all on schema {} to {}", stage.schema, role)
        stage.judge(process, errors=["table_set_aside"])
    assert stage.query(LETTERS) == [0]


# SPEC: M5, R1, R5  FAULTS: 2, 14
def test_a_table_that_is_dropped_is_made_again_by_a_reading_of_all_of_it(stage: Stage) -> None:
    machines = [stage.machine(name, seed) for seed, name in enumerate(TABLES)]
    for machine in machines:
        machine.fill(50)
    remedy = f"cartridge-warp resync --table {stage.schema}"
    with stage.running() as process:
        stage.arrives()
        stage.inject("two tables dropped")
        administer(stage.warehouse, "drop table {0}.items, {0}.orders", stage.schema)
        for machine in machines:
            machine.burst(40)
        stage.eventually(lambda: set(stage.query(ASIDE)) == {"items", "orders"})
        stage.arrives("users")
        assert all(remedy in reason for reason in stage.query(REASON))
        again = stage.command.start("resync", "--table", f"{stage.schema}.items")
        assert again.wait(60) == 0, stage.command.log[-3000:]
        stage.arrives("items", "users")
        assert stop(process) == 0
    repair = stage.command.start("verify", "--repair", "--table", f"{stage.schema}.orders")
    assert repair.wait(60) == 1
    assert f"{remedy}.orders" in stage.command.log.rsplit("stale_rows_removed", 1)[1]
    stage.dies("chunk.read=kill", "run", "--once", "--full-resync", "--table", "orders")
    stage.judge(errors=["table_set_aside", "generation_abandoned", "table_made_again"])
    assert stage.query(LETTERS) == [0]
