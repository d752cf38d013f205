"""What every destination owes for the rows of runs: none says that it goes on when it does not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.contract.conformed import batch, creation, first_schema, moved, part
from tests.contract.laboratories import DestinationLab
from warp_resources.connectors.interfaces import Destination
from warp_resources.model.batches import ConformedTable
from warp_resources.model.positions import ChunkCommit, KeyRange, StreamState
from warp_resources.model.tables import TableId

SCHEMA, GENERATION = "shop", "run-beside"
USERS, ORDERS, WHOLE = (TableId(SCHEMA, name) for name in ("users", "orders", ""))
V1 = first_schema(USERS)


class Scene:
    """A stream that covers one table, in the hands of one run after another."""

    def __init__(self, destination: Destination) -> None:
        self.destination = destination
        state = destination.start_stream(SCHEMA, {"at": 1})
        self.stream: StreamState = replace(state, sequence=destination.admit(moved(SCHEMA, state), [USERS], []))
        destination.record_run("first", WHOLE, "stream", "running")
        self._write(part(V1, changes=creation()), "first")
        destination.save_plan(USERS, [KeyRange()])

    def write(self, run: str) -> None:
        self._write(part(V1, [{"id": 1, "name": run}]), run)

    def chunk(self, run: str) -> None:
        """One chunk of a reading of the table, counted for a run."""
        self.destination.open_generation(USERS, GENERATION)
        epoch, _ = self.destination.seize_slice(USERS, GENERATION, "slice-00")
        basis = self.destination.chunk_basis(USERS).sequence
        commit = ChunkCommit(USERS, GENERATION, "slice-00", epoch, basis, "1", False)
        self.destination.write(batch(commit, part(V1, [{"id": 2, "name": run}]), run_id=run))

    def statuses(self, table: TableId = USERS) -> dict[str, str]:
        """Of each run, the status of its row of a table."""
        runs = self.destination.recent_runs(SCHEMA, timedelta(days=1))
        return {run.run_id: run.status for run in runs if run.table == table}

    def _write(self, its: ConformedTable, run: str) -> None:
        receipt = self.destination.write(batch(moved(SCHEMA, self.stream), its, run_id=run))
        self.stream = replace(self.stream, sequence=receipt.stream_sequence or 0)


@pytest.fixture
def scene(lab: DestinationLab) -> Scene:
    return Scene(lab.open())


def test_who_opens_a_batch_table_ends_what_a_dead_run_left(lab: DestinationLab) -> None:
    # SPEC: T3
    destination = lab.open()
    for table in (USERS, ORDERS):
        destination.record_run("dead", table, "batch", "running")
    destination.record_run("next", USERS, "batch", "running")
    runs = destination.recent_runs(SCHEMA, timedelta(days=1))
    assert {(run.run_id, run.table.name): run.status for run in runs} == {
        ("dead", "users"): "interrupted",
        ("dead", "orders"): "running",
        ("next", "users"): "running",
    }


def test_who_opens_a_stream_ends_what_a_dead_run_left(scene: Scene) -> None:
    # SPEC: T3
    scene.destination.record_run("elsewhere", TableId("other", ""), "stream", "running")
    scene.destination.record_run("next", WHOLE, "stream", "running")
    assert scene.statuses() == {"first": "interrupted"}
    assert scene.statuses(WHOLE) == {"first": "interrupted", "next": "running"}
    [elsewhere] = scene.destination.recent_runs("other", timedelta(0))
    assert elsewhere.status == "running"


def test_a_run_that_counts_goes_on(scene: Scene) -> None:
    # SPEC: T3
    scene.destination.record_run("next", WHOLE, "stream", "running")
    scene.destination.record_run("first", WHOLE, "stream", "running")
    scene.write("first")
    assert scene.statuses() == {"first": "running"}
    assert scene.statuses(WHOLE) == {"first": "running", "next": "interrupted"}
    scene.destination.record_run("first", WHOLE, "stream", "stopped")
    assert scene.statuses() == {"first": "stopped"}


def test_a_resync_beside_a_stream_goes_on_while_its_reading_is_open(scene: Scene) -> None:
    # SPEC: T3 M5
    scene.chunk("resync")
    scene.destination.record_run("next", WHOLE, "stream", "running")
    assert scene.statuses() == {"first": "interrupted", "resync": "running"}
    scene.destination.abandon_generation(USERS, GENERATION, "nobody reads it")
    scene.destination.record_run("third", WHOLE, "stream", "running")
    assert scene.statuses() == {"first": "interrupted", "resync": "interrupted"}


def test_a_row_that_ends_takes_along_what_was_counted_in_another_mode(scene: Scene) -> None:
    # SPEC: T3
    scene.destination.record_run("load", USERS, "batch", "running")
    scene.chunk("load")
    scene.destination.record_run("load", USERS, "batch", "success")
    assert scene.statuses()["load"] == "success"
    assert all(run.run_id != "load" for run in scene.destination.recent_runs(SCHEMA, timedelta(0)))
