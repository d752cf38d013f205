"""What every destination owes of columns that are renamed, and of values that are discarded."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.contract.conformed import NAME, batch, changed, creation, first_schema, moved, part
from tests.contract.laboratories import DestinationLab
from warp_resources.model.batches import Discard
from warp_resources.model.positions import StreamState
from warp_resources.model.tables import ChangeKind, Column, ColumnType, Kind, SchemaChange, TableId

SCHEMA = "shop"
USERS = TableId(SCHEMA, "users")
NICK = Column("nick", "nick", ColumnType(Kind.TEXT))


def write(lab: DestinationLab, state: StreamState, *parts: Any) -> StreamState:
    receipt = lab.open().write(batch(moved(SCHEMA, state), *parts))
    return replace(state, sequence=receipt.stream_sequence or 0)


def renamed(column: Column, stored: str) -> SchemaChange:
    return SchemaChange(ChangeKind.RENAME_COLUMN, before=column, after=replace(column, stored=stored), reason="renamed")


def test_columns_are_renamed_also_where_they_swap_names(lab: DestinationLab) -> None:
    # SPEC: 2, T2, T9
    v1 = first_schema(USERS, NAME, NICK)
    state = lab.open().start_stream(SCHEMA, {"at": 1})
    state = write(lab, state, part(v1, [{"id": 1, "name": "Ann", "nick": "A"}], changes=creation()))

    swap = (renamed(NAME, "nick"), renamed(NICK, "name"))
    v2 = replace(changed(v1, *swap), version=2)
    state = write(lab, state, part(v2, [{"id": 2, "name": "Ben", "nick": "B"}], changes=swap))
    assert {key: (row["nick"], row["name"]) for key, row in lab.rows(USERS).items()} == {
        1: ("Ann", "A"),
        2: ("Ben", "B"),
    }
    assert lab.open().table_schemas(SCHEMA)["users"] == v2

    # Renamed and of another type in one step.
    before = v2.column("name")
    assert before is not None
    rename = renamed(before, "named")
    alter = SchemaChange(ChangeKind.ADD_COLUMN, after=Column("more", "name it", ColumnType(Kind.INT64)))
    v3 = changed(v2, rename, alter)
    write(lab, state, part(v3, [{"id": 3, "name": "Cy", "more": 7}], changes=(rename, alter)))
    assert lab.rows(USERS)[3]["named"] == "Cy"
    assert lab.rows(USERS)[3]["name it"] == 7
    assert lab.rows(USERS)[1]["named"] == "Ann"


def test_discarded_values_are_counted_with_the_commit(lab: DestinationLab) -> None:
    # SPEC: T5, E8, T7
    v1 = first_schema(USERS)
    state = lab.open().start_stream(SCHEMA, {"at": 1})
    first = part(v1, [{"id": 1, "name": "x"}], changes=creation())
    hashed, dropped = Discard("ssn", "hash", 2), Discard('odd "name"\0', "drop", 1)
    state = write(lab, state, replace(first, discards=(hashed, dropped)))
    state = write(lab, state, replace(part(v1, [{"id": 2, "name": "y"}]), discards=(hashed, hashed)))
    state = write(lab, state, part(v1, [{"id": 3, "name": "z"}]))
    [figures] = [its for its in lab.open().statistics(SCHEMA) if its.table == USERS]
    counts = {(its.column.replace("\0", ""), its.action): its.count for its in figures.discards}
    assert counts == {("ssn", "hash"): 6, ('odd "name"', "drop"): 1}
