"""What every destination owes to a table that keeps its deleted rows, with a flag."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.contract.conformed import batch, creation, first_schema, moved, part
from tests.contract.laboratories import DestinationLab
from warp_resources.connectors.interfaces import Destination
from warp_resources.model.batches import TableReceipt
from warp_resources.model.positions import BatchCommit, ChunkCommit, KeyRange, StreamState
from warp_resources.model.tables import ChangeKind, Column, ColumnType, Kind, SchemaChange, TableId, TableSchema

SCHEMA, GENERATION, FLAG = "shop", "resync-1", "is gone"
USERS = TableId(SCHEMA, "users")
HARD = first_schema(USERS)
SOFT = replace(HARD, flag=FLAG, is_soft=True)


@dataclass
class Scene:
    """A table that a stream covers, keeping deletes as ``schema`` says."""

    lab: DestinationLab
    destination: Destination
    stream: StreamState
    schema: TableSchema

    def write(self, rows: list[dict[str, Any]], deletes: list[int] | None = None) -> TableReceipt:
        return self.commit(part(self.schema, rows, deletes or []))

    def commit(self, its: Any) -> TableReceipt:
        receipt = self.destination.write(batch(moved(SCHEMA, self.stream), its))
        self.stream = replace(self.stream, sequence=receipt.stream_sequence or 0)
        return receipt.tables[USERS]

    def turn(self, schema: TableSchema, deletes: list[int] | None = None) -> TableReceipt:
        """Keep deletes in another way from now on."""
        before = Column(self.schema.flag, self.schema.flag, BOOL) if self.schema.flag else None
        change = SchemaChange(ChangeKind.DELETION, before=before, after=Column(schema.flag, schema.flag, BOOL))
        self.schema = replace(schema, version=self.schema.version + 1)
        return self.commit(part(self.schema, deletes=deletes or [], changes=(change,)))

    def chunk(self, rows: list[dict[str, Any]], basis: int | None = None) -> TableReceipt:
        epoch, _ = self.destination.seize_slice(USERS, GENERATION, "slice-00")
        basis = self.destination.chunk_basis(USERS).sequence if basis is None else basis
        commit = ChunkCommit(USERS, GENERATION, "slice-00", epoch, basis, None, True, None)
        return self.destination.write(batch(commit, part(self.schema, rows))).tables[USERS]

    def flags(self, name: str = FLAG) -> dict[int, bool]:
        return {key: row[name] for key, row in self.lab.rows(USERS).items()}

    def strategies(self) -> list[str]:
        return self.lab.deletion_strategies(USERS)


BOOL = ColumnType(Kind.BOOL)


def opened(lab: DestinationLab, schema: TableSchema) -> Scene:
    destination = lab.open()
    stream = destination.start_stream(SCHEMA, {"at": 1})
    stream = replace(stream, sequence=destination.admit(moved(SCHEMA, stream), [USERS], []))
    scene = Scene(lab, destination, stream, schema)
    scene.commit(part(schema, changes=creation()))
    destination.save_plan(USERS, [KeyRange()])
    return scene


@pytest.fixture
def scene(lab: DestinationLab) -> Scene:
    return opened(lab, SOFT)


# SPEC: X2, T6
def test_a_delete_flags_the_row_and_is_logged_once(scene: Scene) -> None:
    scene.write([{"id": 1, "name": "Ann"}, {"id": 2, "name": "Bob"}])
    receipt = scene.write([], [1, 7])
    row = scene.lab.rows(USERS)[1]
    assert (row["name"], row[FLAG], row["_warp_sequence"]) == ("Ann", True, receipt.sequence)
    assert scene.flags() == {1: True, 2: False}
    assert (receipt.rows_deleted, scene.strategies()) == (1, ["soft"])

    assert scene.write([], [1]).rows_deleted == 0, "it is deleted already"
    assert scene.strategies() == ["soft"]
    assert scene.lab.rows(USERS)[1]["_warp_sequence"] == receipt.sequence
    assert scene.destination.row_count(USERS) == 1
    assert FLAG in scene.destination.preview(USERS, 5).column_names


# SPEC: X2
def test_a_row_that_comes_back_is_live(scene: Scene) -> None:
    scene.write([{"id": 1, "name": "Ann"}])
    scene.write([], [1])
    scene.write([{"id": 1, "name": "Ann again"}])
    assert scene.flags() == {1: False}
    assert scene.write([], [1]).rows_deleted == 1
    assert scene.strategies() == ["soft", "soft"]


# SPEC: X2
def test_the_schema_says_how_deletes_are_kept(scene: Scene) -> None:
    assert scene.lab.open().table_schemas(SCHEMA)["users"] == SOFT


# SPEC: X2, X4
def test_a_batch_writer_sees_that_a_flagged_row_is_another_one(lab: DestinationLab) -> None:
    destination = lab.open()
    state = destination.seize_table(USERS, "batch")
    commit = BatchCommit(USERS, state.epoch, {"at": 1})
    row = {"id": 1, "name": "Ann"}
    destination.write(batch(commit, part(SOFT, [row, {"id": 2, "name": "Bob"}], changes=creation())))
    destination.write(batch(commit, part(SOFT, [], [1])))
    written = destination.write(batch(commit, part(SOFT, [row, {"id": 2, "name": "Bob"}])))
    assert written.tables[USERS].rows_written == 1
    assert {key: its[FLAG] for key, its in lab.rows(USERS).items()} == {1: False, 2: False}


# SPEC: M5, X2, T6
def test_what_a_whole_reading_did_not_see_is_flagged(scene: Scene) -> None:
    scene.write([{"id": 1, "name": "kept"}, {"id": 8, "name": "ghost"}, {"id": 9, "name": "deleted before"}])
    scene.write([], [9])
    scene.destination.open_generation(USERS, GENERATION)
    scene.chunk([{"id": 1, "name": "kept"}])
    assert scene.destination.close_generation(USERS, GENERATION, "run-1") == 1, "a flagged row is not stale again"
    assert scene.flags() == {1: False, 8: True, 9: True}
    assert scene.strategies() == ["soft", "soft"]
    assert scene.destination.row_count(USERS) == 1

    scene.destination.open_generation(USERS, GENERATION)
    scene.chunk([{"id": 1, "name": "kept"}, {"id": 8, "name": "seen again"}])
    assert scene.destination.close_generation(USERS, GENERATION, "run-2") == 0
    assert scene.flags() == {1: False, 8: False, 9: True}


# SPEC: M5, X2
def test_a_chunk_never_revives_what_the_stream_flagged_since(scene: Scene) -> None:
    scene.write([{"id": 1, "name": "old"}])
    scene.destination.open_generation(USERS, GENERATION)
    basis = scene.destination.chunk_basis(USERS).sequence
    scene.write([], [1, 2])
    scene.chunk([{"id": 1, "name": "read"}, {"id": 2, "name": "read"}, {"id": 3, "name": "read"}], basis=basis)
    assert scene.flags() == {1: True, 3: False}


# SPEC: X1, X2
def test_a_table_turns_from_hard_to_soft_and_back(lab: DestinationLab) -> None:
    scene = opened(lab, HARD)
    scene.write([{"id": key, "name": "there"} for key in range(1, 6)])
    scene.write([], [1])
    scene.turn(SOFT, [2])
    assert scene.flags() == {2: True, 3: False, 4: False, 5: False}

    scene.turn(replace(scene.schema, is_soft=False), [3])
    assert scene.flags() == {2: True, 4: False, 5: False}, "what is flagged stays"
    assert scene.write([], [2]).rows_deleted == 0, "and is deleted already"
    scene.write([{"id": 2, "name": "back"}])
    assert scene.flags() == {2: False, 4: False, 5: False}

    scene.turn(replace(scene.schema, flag="removed", is_soft=True), [4])
    assert scene.flags("removed") == {2: False, 4: True, 5: False}
    assert all(FLAG not in row for row in lab.rows(USERS).values())
    assert scene.strategies() == ["hard", "hard", "soft", "soft"]
    assert lab.open().table_schemas(SCHEMA)["users"] == scene.schema
