"""Fields that a table has no room for go to one JSON column, losing nothing."""

from __future__ import annotations

import json

import pytest

from tests.unit.pipeline.documents import BOOL, DOUBLE, INT32, INT64, JSON, NUMERIC, TEXT, Document, batch_of
from warp_resources.errors import TableFailure
from warp_resources.evolution import overflow
from warp_resources.model.batches import ConformedTable
from warp_resources.model.capabilities import Capabilities
from warp_resources.model.rules import TableRules
from warp_resources.model.tables import ChangeKind, Column, ColumnType, Kind, TableSchema
from warp_resources.pipeline.conform import conform

# Room for the key and three more.
NARROW = Capabilities(max_columns=64)
OWN = "_warp_overflow"


def arrived(
    documents: list[Document], known: TableSchema | None = None, target: Capabilities = NARROW, **rules: str
) -> ConformedTable:
    return conform(batch_of(documents), known, stored_schema="s", capabilities=target, rules=TableRules(**rules))


def fields(first: int, last: int, key: int = 1) -> Document:
    return {"_id": (INT64, key)} | {f"f{n}": (INT32, n) for n in range(first, last)}


# SPEC: E9; FAULTS: 15
def test_fields_beyond_the_last_column_go_to_one_json_column() -> None:
    table = arrived([fields(0, 5), {"_id": (INT64, 2)}])
    assert [column.stored for column in table.schema.columns] == ["_id", "f0", "f1", "f2", OWN]
    assert table.rows.column(OWN).to_pylist() == ['{"f3":3,"f4":4}', None]
    assert table.schema.overflowed == ("f3", "f4")
    assert [(its.error_type, its.column, its.action) for its in table.errors] == [
        ("column_overflow", "f3", f"kept in {OWN}"),
        ("column_overflow", "f4", f"kept in {OWN}"),
    ]
    assert table.dead_letters == ()
    assert [its.kind for its in table.changes] == [ChangeKind.CREATE_TABLE, ChangeKind.OVERFLOW]


def test_an_overflowed_field_stays_there_and_is_told_of_once() -> None:
    first = arrived([fields(0, 3)])
    second = arrived([fields(2, 5)], first.schema)
    assert [(its.kind, its.after and its.after.stored) for its in second.changes] == [
        (ChangeKind.ADD_COLUMN, OWN),
        (ChangeKind.OVERFLOW, None),
    ]
    assert second.rows.to_pydict() == {"_id": [1], "f2": [2], OWN: ['{"f3":3,"f4":4}']}
    roomier = Capabilities(max_columns=70)
    third = arrived([fields(3, 6)], second.schema, roomier)
    assert [its.after and its.after.stored for its in third.changes] == ["f5"]
    assert third.rows.to_pydict() == {"_id": [1], "f5": [5], OWN: ['{"f3":3,"f4":4}']}
    assert third.errors == ()


def test_the_column_is_null_in_rows_that_lack_every_such_field() -> None:
    known = arrived([fields(0, 5)]).schema
    assert OWN not in arrived([fields(0, 2)], known).rows.schema.names
    assert arrived([fields(0, 2), fields(3, 4, 2)], known).rows.column(OWN).to_pylist() == [None, '{"f3":3}']


def test_values_of_any_type_are_canonical_json_there() -> None:
    known = arrived([fields(0, 3)]).schema
    odd = 'q"\\ü\ud800' + "x"
    document: Document = {
        "_id": (INT64, 1),
        "a": (TEXT, 'say "\n"'),
        "b": (NUMERIC, "1.10"),
        "c": (DOUBLE, float("nan")),
        "d": (JSON, '{"x": [1]}'),
        "e": (BOOL, True),
        "f": (ColumnType(Kind.TIMESTAMP_TZ, unit="ms"), 0),
        "g": (ColumnType(Kind.BINARY), b"\x00\xff"),
        "h": (DOUBLE, -0.0),
        "i": (JSON, '"a\\u0000"'),
        "j": (NUMERIC, "1E+200000"),
        odd: (INT64, 1),
    }
    table = arrived([document], known)
    assert json.loads(table.rows.column(OWN)[0].as_py()) == {
        "a": 'say "\n"',
        "b": 1.1,
        "c": "NaN",
        "d": {"x": [1]},
        "e": True,
        "f": "1970-01-01T00:00:00.000Z",
        "g": "AP8=",
        "h": 0,
        "i": "a",
        "j": "1e+200000",
        odd.replace("\ud800", ""): 1,
    }
    assert '"b":1.10' in table.rows.column(OWN)[0].as_py()
    assert {(its.reason, its.column) for its in table.dead_letters} == {
        ("negative_zero", "h"),
        ("character_removed", "i"),
        ("character_removed", OWN),
    }


# SPEC: Z4
def test_a_field_of_the_columns_own_name_has_its_place_too() -> None:
    first = arrived([{"_id": (INT64, 1), OWN: (TEXT, "mine")}])
    assert first.schema.columns[1].stored.startswith("warp_overflow_")
    second = arrived([fields(0, 5) | {OWN: (TEXT, "still mine")}], first.schema)
    mine = first.schema.columns[1].stored
    assert second.rows.column(mine).to_pylist() == ["still mine"]
    assert second.rows.column(OWN).to_pylist() == ['{"f2":2,"f3":3,"f4":4}']
    roomier = Capabilities(max_columns=70)
    late = arrived([fields(0, 1) | {OWN: (TEXT, "late")}], arrived([fields(0, 5)]).schema, roomier)
    assert late.rows.column(OWN).to_pylist() == ['{"_warp_overflow":"late"}']


def test_new_fields_that_would_make_rows_too_wide_go_there_and_the_row_is_written() -> None:
    target = Capabilities(max_row_bytes=400)
    wide: Document = {"_id": (INT64, 2)} | {f"f{n}": (TEXT, "x" * 15) for n in range(60)}
    table = arrived([{"_id": (INT64, 1), "f0": (TEXT, "a")}, wide], target=target)
    assert table.dead_letters == ()
    stored = table.rows.to_pylist()[1]
    found = {name: value for name, value in stored.items() if value is not None and name.startswith("f")}
    assert found | json.loads(stored[OWN]) == {name: value[1] for name, value in wide.items() if name != "_id"}
    assert 0 < len(found) < 20
    # Whatever comes for these columns later has room.
    longest: Document = {"_id": (INT64, 3)} | {f"f{n}": (TEXT, "y" * 24) for n in range(60)}
    assert arrived([longest], table.schema, target).dead_letters == ()


def test_a_row_that_is_too_wide_for_known_columns_does_not_push_others_into_overflow() -> None:
    target = Capabilities(max_row_bytes=400)
    rows: list[Document] = [{"_id": (INT64, n)} | {f"f{n}{m}": (DOUBLE, 1.5) for m in range(20)} for n in range(3)]
    known: TableSchema | None = None
    for row in rows:
        known = arrived([row], known, target).schema
    merged: Document = {name: value for row in rows for name, value in row.items()}
    table = arrived([merged, {"_id": (INT64, 9), "new": (BOOL, True)}], known, target)
    assert [(its.reason, its.key_text) for its in table.dead_letters] == [("row_too_wide", "2")]
    assert [its.after and its.after.stored for its in table.changes] == ["new"]
    assert table.rows.num_rows == 1


def test_the_list_of_fields_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overflow, "MOST_LISTED", 4)
    table = arrived([fields(0, 10)])
    assert table.schema.overflowed == ("f3", "f4", "f5", "f6")
    assert table.rows.column(OWN).to_pylist() == ['{"f3":3,"f4":4,"f5":5,"f6":6,"f7":7,"f8":8,"f9":9}']
    assert [its.column for its in table.errors] == ["f3", "f4", "f5", "f6", None]
    again = arrived([fields(5, 12)], table.schema, Capabilities())
    assert (again.changes, again.errors) == ((), ())
    assert again.rows.column(OWN).to_pylist()[0].endswith('"f11":11}')


@pytest.mark.parametrize(("policy", "stored"), [("discard", '{"f3":3}'), ("evolve", '{"f3":3,"new":1}')])
def test_a_contract_is_not_about_fields_that_overflowed_before(policy: str, stored: str) -> None:
    known = arrived([fields(0, 4)]).schema
    document = fields(3, 4) | {"new": (INT64, 1)}
    assert arrived([document], known, new_columns=policy).rows.column(OWN).to_pylist() == [stored]
    assert arrived([fields(0, 4)], known, new_columns="freeze").rows.num_rows == 1
    with pytest.raises(TableFailure, match="new"):
        arrived([document], known, new_columns="freeze")


def test_a_thousand_known_columns_keep_their_place() -> None:
    columns = tuple(Column(f"f{n}", f"f{n}", ColumnType(Kind.INT64)) for n in range(1_600))
    known = TableSchema(arrived([fields(0, 1)]).schema.table, "s", "t", columns, ("f0",), version=3)
    batch = batch_of([{"f0": (INT64, 1), "f1599": (INT64, 2), "late": (INT64, 3)}])
    table = conform(
        type(batch)(batch.table, ("f0",), batch.columns, 1), known, stored_schema="s", capabilities=Capabilities()
    )
    assert table.rows.to_pydict() == {"f0": [1], "f1599": [2], OWN: ['{"late":3}']}
