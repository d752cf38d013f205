"""What befalls the processes of ``dagster dev`` and of its drainer, under load; it is started once for all tests."""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import sql
from pymongo import MongoClient

from tests.dagster.development import Dagster, eventually
from tests.faults.machine import Machine
from tests.faults.stage import Stage, staged
from warp_resources.connectors.postgresql.embedded import EmbeddedPostgres

pytestmark = [pytest.mark.servers, pytest.mark.timeout(600)]

ROWS = 3000
PATIENCE = 120.0


@dataclass
class Scene:
    """A schema that streams under ``dagster dev``, and the load on it; ``errors``: what ``error_log`` has by now."""

    stage: Stage
    dagster: Dagster
    machine: Machine
    errors: set[str] = field(default_factory=set)

    def settles(self) -> None:
        self.stage.settles(errors=self.errors, seconds=PATIENCE)

    def goes_on(self) -> None:
        """Whether what is written from now on arrives, whatever went before."""
        key = f"probe-{uuid.uuid4().hex}"
        self.stage.database["probes"].insert_one({"_id": key})
        query = sql.SQL("select 1 from {} where _id = %s").format(sql.Identifier(self.stage.schema, "probes"))
        eventually(lambda: self.dagster.rows(query, key), PATIENCE)

    def changes(self, count: int) -> None:
        """Wait until the load has made so many more changes."""
        target = self.machine.done.total() + count
        eventually(lambda: self.machine.done.total() >= target)

    def mandate(self) -> datetime:
        [(until,)] = self.dagster.rows(
            "select expires_at from cartridge_warp_metadata.mandates where schema_name = %s", self.stage.schema
        )
        return until


@pytest.fixture(scope="module")
def scene(
    mongo_client: MongoClient[dict[str, Any]],
    mongo_uri: str,
    postgres_server: EmbeddedPostgres,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Scene]:
    name, folder = f"dev_{uuid.uuid4().hex[:8]}", tmp_path_factory.mktemp("dagster")
    # Small chunks, so that a run that reads slices is there for long enough to be killed.
    stage = staged(
        folder,
        mongo_client,
        mongo_uri,
        postgres_server.create_database(name),
        name,
        tables={"users": {"full_load_batch_size": 10}},
    )
    machine = stage.machine()
    machine.fill(ROWS)
    dagster = Dagster(stage.command.path, folder, stage.warehouse, name)
    dagster.start()
    stage.arrives(seconds=PATIENCE)
    yield Scene(stage, dagster, machine)
    dagster.stop(patiently=False)
    postgres_server.drop_database(name)
    mongo_client.drop_database(name)


def test_all_of_it_is_killed_and_started_again_while_the_drainer_lives(scene: Scene) -> None:
    # SPEC: D3, T7  FAULTS: 29
    with scene.machine.running(50):
        scene.stage.inject("kill -9 of daemon, webserver and code server")
        before = eventually(scene.dagster.drainer)
        scene.dagster.kill()
        scene.goes_on()
        assert scene.dagster.drainer() == before
        scene.dagster.start()
        scene.goes_on()
        eventually(scene.dagster.drainer)
    scene.settles()


def test_a_reload_of_the_code_leaves_the_stream_alone(scene: Scene) -> None:
    # SPEC: D1, D3  FAULTS: 29
    before = eventually(scene.dagster.drainer)
    with scene.machine.running(50):
        scene.stage.inject("reloadRepositoryLocation")
        scene.dagster.reload()
        known = scene.mandate()
        # More than one tick of the new code.
        eventually(lambda: scene.mandate() > known + timedelta(seconds=6), PATIENCE)
        scene.goes_on()
    assert scene.dagster.drainer() == before
    scene.settles()


def test_the_drainer_is_killed_again_and_again(scene: Scene) -> None:
    # SPEC: T7, T8, D3  FAULTS: 1, 29
    with scene.machine.running(100):
        for count in (1, 30):
            before = eventually(scene.dagster.drainer, PATIENCE)
            scene.changes(count)
            scene.stage.inject(f"kill -9 of the drainer after {count} changes")
            os.kill(before, signal.SIGKILL)
            eventually(lambda its=before: scene.dagster.drainer() not in (None, its), PATIENCE)
            scene.goes_on()
    scene.settles()


def test_a_resync_whose_run_is_killed_goes_on_by_itself(scene: Scene) -> None:
    # SPEC: M5, D3  FAULTS: 2, 29
    table = sql.Identifier(scene.stage.schema, "users")
    with psycopg.connect(scene.stage.warehouse) as connection:
        connection.execute(sql.SQL("update {} set step = -1").format(table))
    with scene.machine.running(50):
        run = scene.dagster.launch(f"resync_{scene.stage.schema}", {"tables": ["users"]})
        reader = eventually(scene.dagster.reader, PATIENCE)
        scene.stage.inject("kill -9 of a run that reads slices")
        os.kill(reader, signal.SIGKILL)
        assert eventually(lambda: scene.dagster.ended(run), PATIENCE) == "FAILURE"
        scene.goes_on()
    scene.errors.add("run_failed")
    scene.settles()
    eventually(lambda: scene.dagster.retries(run) == ["SUCCESS"], PATIENCE)
