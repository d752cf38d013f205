"""What every destination owes a comparison, and every source the keys that it is asked for."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.contract.conformed import INT, NAME, TEXT, batch, changed, creation, first_schema, letter, moved, part
from tests.contract.laboratories import DestinationLab, SourceLab
from tests.contract.test_source_contract import deletes_of, rows_of
from warp_resources.connectors.interfaces import Destination, ReadLimits
from warp_resources.errors import SchemaMoved
from warp_resources.model.batches import ConformedTable
from warp_resources.model.differences import DifferenceKind
from warp_resources.model.positions import ChunkCommit, KeyRange
from warp_resources.model.tables import ChangeKind, Column, ColumnType, Kind, SchemaChange, TableId

USERS = TableId("shop", "users")
AMOUNT = Column("amount", "amount", ColumnType(Kind.NUMERIC))
SCHEMA = first_schema(USERS, NAME, AMOUNT)
MISSING, DIFFERENT, SURPLUS, SET_ASIDE = DifferenceKind


class Loaded:
    """A destination with rows 1 to 3."""

    def __init__(self, destination: Destination) -> None:
        self.destination = destination
        self.stream = destination.start_stream("shop", {"at": 0})
        rows = [{"id": number, "name": f"n{number}", "amount": "1.15"} for number in (1, 2, 3)]
        self.write(part(SCHEMA, rows, changes=creation()))

    def write(self, made: ConformedTable) -> None:
        receipt = self.destination.write(batch(moved("shop", self.stream), made))
        assert receipt.stream_sequence is not None
        self.stream = replace(self.stream, sequence=receipt.stream_sequence)

    @property
    def other(self) -> str:
        """An amount that the destination can tell from ``1.15``."""
        return "1.150" if self.destination.capabilities.numeric_scale else "1.2"

    def compare(self, made: ConformedTable) -> dict[int, DifferenceKind]:
        with self.destination.comparison(USERS) as comparison:
            return {its.row: its.kind for its in comparison.compare(made)}


@pytest.fixture
def loaded(lab: DestinationLab) -> Loaded:
    return Loaded(lab.open())


def row(number: int, **values: Any) -> dict[str, Any]:
    return {"id": number, "name": f"n{number}", "amount": "1.15", **values}


def test_rows_are_compared_by_image_and_keys_that_no_chunk_brings_are_surplus(loaded: Loaded) -> None:
    # SPEC: R5
    sequence = loaded.destination.chunk_basis(USERS).sequence
    with loaded.destination.comparison(USERS) as comparison:
        assert comparison.compare(part(SCHEMA, [row(1)])) == []
        found = comparison.compare(part(SCHEMA, [row(2, amount=loaded.other), row(9)]))
        assert [(its.row, its.kind, its.sequence) for its in found] == [(0, DIFFERENT, sequence), (1, MISSING, None)]
        assert comparison.surplus(10, since=sequence - 1) == []
        assert [(its.key_text, its.sequence) for its in comparison.surplus(10, since=sequence)] == [("3", sequence)]
        assert comparison.surplus(10, since=sequence) == []


def test_a_column_that_a_chunk_lacks_is_compared_with_null(loaded: Loaded) -> None:
    # SPEC: R5 E5
    rows = [{"id": 1, "name": "n1"}]
    assert loaded.compare(part(SCHEMA, rows)) == {0: DIFFERENT}
    loaded.write(part(SCHEMA, rows))
    assert loaded.compare(part(SCHEMA, rows)) == {}


def test_rows_are_compared_as_the_chunk_would_have_its_table(loaded: Loaded) -> None:
    # SPEC: R5 E2 E4
    wider = changed(
        SCHEMA,
        SchemaChange(ChangeKind.ADD_COLUMN, Column("new", "new", TEXT)),
        SchemaChange(ChangeKind.ALTER_TYPE, replace(AMOUNT, type=TEXT), before=AMOUNT),
    )
    made = part(wider, [row(1), row(2, new="x"), row(3, amount=loaded.other)], changes=wider_changes(wider))
    assert loaded.compare(made) == {1: DIFFERENT, 2: DIFFERENT}


def wider_changes(wider: Any) -> tuple[SchemaChange, ...]:
    return (
        SchemaChange(ChangeKind.ADD_COLUMN, wider.column("new")),
        SchemaChange(ChangeKind.ALTER_TYPE, wider.column("amount"), before=AMOUNT),
    )


def test_a_table_that_moved_on_is_to_be_conformed_to_again(loaded: Loaded) -> None:
    # SPEC: R5
    wider = changed(SCHEMA, SchemaChange(ChangeKind.ADD_COLUMN, Column("new", "new", INT)))
    loaded.write(part(wider, [row(1)], changes=(SchemaChange(ChangeKind.ADD_COLUMN, wider.column("new")),)))
    with pytest.raises(SchemaMoved):
        loaded.compare(part(SCHEMA, [row(1)]))


def test_a_row_that_was_set_aside_whole_is_told_apart(loaded: Loaded) -> None:
    # SPEC: R5 R2
    loaded.write(part(SCHEMA, letters=[letter(USERS, 1, None), letter(USERS, 2, "name")]))
    made = part(SCHEMA, [row(1, name="x"), row(2, name="x")], deletes=[3, 4])
    with loaded.destination.comparison(USERS) as comparison:
        found = comparison.compare(made)
    assert [(its.row, its.kind) for its in found] == [(0, SET_ASIDE), (1, DIFFERENT), (0, SURPLUS)]


def test_a_table_that_was_never_made_has_nothing(lab: DestinationLab) -> None:
    # SPEC: R5
    destination = lab.open()
    destination.start_stream("shop", {"at": 0})
    with destination.comparison(USERS) as comparison:
        found = comparison.compare(part(SCHEMA, [row(1)], changes=creation()))
        assert [(its.row, its.kind) for its in found] == [(0, MISSING)]
        assert comparison.surplus(10, since=0) == []


def test_the_deletes_of_a_repair_spare_what_is_newer(loaded: Loaded, lab: DestinationLab) -> None:
    # SPEC: R5 X1
    destination = loaded.destination
    destination.save_plan(USERS, [KeyRange()])
    destination.open_generation(USERS, "verify-1", removes_stale=False)
    epoch, _ = destination.seize_slice(USERS, "verify-1", "slice-00")
    basis = destination.chunk_basis(USERS).sequence
    loaded.write(part(SCHEMA, [row(1)]))

    def commit(*, is_done: bool) -> ChunkCommit:
        return ChunkCommit(USERS, "verify-1", "slice-00", epoch, basis, None, is_done)

    destination.write(batch(commit(is_done=False), part(SCHEMA, deletes=[1, 2])))
    destination.write(batch(commit(is_done=True)))
    assert destination.close_generation(USERS, "verify-1", "run-1") == 0
    assert set(lab.rows(USERS)) == {1, 3}
    assert lab.deletion_count(USERS) == 1


def test_the_rows_of_keys_are_read_and_those_without_one_are_deletes(source_lab: SourceLab) -> None:
    # SPEC: R5
    ids: list[Any] = [1, "1", 2.5, {"a": 1}] if source_lab.mixes_types else ["1", "é", 'say "hi"', "{}"]
    rows = [{"_id": its, "n": number} for number, its in enumerate(ids, 1)]
    source_lab.put("mixed", *rows, {"_id": 7 if source_lab.mixes_types else "seven", "n": 5})
    source, scope = source_lab.open(), source_lab.scope()
    missing = [8, "7"] if source_lab.mixes_types else ["8", "7"]
    keys = [json.dumps({"_id": its}) for its in (*ids, *missing)]
    now = source.log_end(scope) if "log" in source.capabilities.strategies else None
    found = source.read_keys(scope, "mixed", keys, now)
    assert sorted(its["n"] for its in rows_of(found)) == [1, 2, 3, 4]
    assert {str(key) for key in deletes_of(found)} == {"8", "7"}
    assert found.original(0).primary_key.startswith('{"_id"')
    gone = source.read_keys(scope, "nothing", ['{"_id": 1}'], None)
    assert (gone.row_count, gone.delete_count) == (0, 1)


def test_the_keys_of_originals_find_their_rows(source_lab: SourceLab) -> None:
    # SPEC: R5 E11
    ids: list[Any] = [2**62 + 1, 1e300, True] if source_lab.mixes_types else [2**62 + 1, -(2**63), 0]
    source_lab.put("odd", *({"_id": its} for its in ids))
    source, scope = source_lab.open(), source_lab.scope()
    read = source.read_chunk(scope, "odd", KeyRange(), None, ReadLimits(None, 2**24), None).batch
    keys = [read.original(number).primary_key for number in range(read.row_count)]
    again = source.read_keys(scope, "odd", keys, None)
    assert (again.row_count, again.delete_count) == (3, 0)
