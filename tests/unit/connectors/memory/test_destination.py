"""The in-memory destination shows plain values, shares its store, and commits one batch at a time."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import pytest

from tests.contract.conformed import batch, creation, first_schema, moved, part
from warp_resources.connectors.memory.destination import MemoryDestination, MemoryOptions
from warp_resources.connectors.memory.store import MemoryStore
from warp_resources.errors import FencedOut, OperatorError
from warp_resources.model.tables import ChangeKind, Column, ColumnType, Kind, SchemaChange, TableId

USERS = TableId("shop", "users")


@pytest.fixture
def destination() -> Iterator[MemoryDestination]:
    MemoryStore.forget("unit")
    yield MemoryDestination(MemoryOptions(store="unit"))
    MemoryStore.forget("unit")


def test_rows_are_plain_python_values(destination: MemoryDestination) -> None:
    columns = [Column(kind.value, kind.value, ColumnType(kind)) for kind in (Kind.NUMERIC, Kind.UUID, Kind.JSON)]
    schema = first_schema(USERS, *columns)
    its = uuid.uuid4()
    row = {"id": 1, "numeric": "1.10", "uuid": its.bytes, "json": '{"a":1.0}'}
    state = destination.start_stream("shop", {"at": 1})
    destination.write(batch(moved("shop", state), part(schema, [row, {"id": 2}], changes=creation())))
    first, second = destination.rows(USERS)
    assert (first["numeric"], first["uuid"], first["json"]) == (Decimal("1.10"), its, '{"a":1.0}')
    assert str(first["numeric"]) == "1.10"
    assert (second["numeric"], second["uuid"], second["json"]) == (None, None, None)
    assert destination.rows(TableId("shop", "unknown")) == []


def test_destinations_of_one_name_share_a_store(destination: MemoryDestination) -> None:
    destination.start_stream("shop", {"at": 1})
    assert MemoryDestination(MemoryOptions(store="unit")).stream_state("shop") is not None
    assert MemoryDestination(MemoryOptions(store=uuid.uuid4().hex)).stream_state("shop") is None


def test_a_change_that_loses_a_value_commits_nothing(destination: MemoryDestination) -> None:
    name = Column("name", "name", ColumnType(Kind.TEXT))
    schema = first_schema(USERS, name)
    state = destination.start_stream("shop", {"at": 1})
    receipt = destination.write(batch(moved("shop", state), part(schema, [{"id": 1, "name": "x"}], changes=creation())))
    state = replace(state, sequence=receipt.stream_sequence or 0)
    number = replace(name, type=ColumnType(Kind.INT64))
    change = SchemaChange(ChangeKind.ALTER_TYPE, before=name, after=number)
    narrow = replace(schema, columns=(schema.columns[0], number), version=2)
    before = destination.store.contents
    with pytest.raises(OperatorError, match="do not fit"):
        destination.write(batch(moved("shop", state), part(narrow, changes=(change,))))
    assert destination.store.contents is before


# SPEC: T8
def test_of_writers_with_one_fence_each_sequence_has_one_winner(destination: MemoryDestination) -> None:
    schema = first_schema(USERS)
    state = destination.start_stream("shop", {"at": 1})
    first = destination.write(batch(moved("shop", state), part(schema, changes=creation())))
    commits, fenced = [], []

    def write(number: int) -> None:
        commit = moved("shop", replace(state, sequence=first.stream_sequence or 0), {"at": number})
        try:
            destination.write(batch(commit, part(schema, [{"id": number, "name": "x"}])))
        except FencedOut:
            fenced.append(number)
        else:
            commits.append(number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(2, 10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(commits), len(fenced)) == (1, 7)
    assert [row["id"] for row in destination.rows(USERS)] == commits
