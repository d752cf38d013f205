"""What a table's contract makes of new fields and of values that do not fit."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.pipeline.documents import BOOL, DOUBLE, INT32, INT64, JSON, NUMERIC, TARGET, TEXT, Document, batch_of
from warp_resources.errors import TableFailure
from warp_resources.model.batches import ConformedTable, Discard
from warp_resources.model.rules import TableRules
from warp_resources.model.tables import ChangeKind, ColumnType, Kind, TableSchema
from warp_resources.pipeline.conform import conform

ESTABLISHED: list[Document] = [{"_id": (INT64, 1), "x": (INT32, 5), "y": (TEXT, "a"), "z": (JSON, "{}")}]


def ruled(documents: list[Document], known: TableSchema | None = None, **rules: Any) -> ConformedTable:
    basis = known or conform(batch_of(ESTABLISHED), None, stored_schema="s", capabilities=TARGET).schema
    return conform(batch_of(documents), basis, stored_schema="s", capabilities=TARGET, rules=TableRules(**rules))


DRIFT: list[Document] = [
    {"_id": (INT64, 2), "x": (INT32, 6), "new": (BOOL, True), "other": (JSON, "[]")},
    {"_id": (INT64, 3), "x": (INT32, 7)},
    {"_id": (INT64, 4), "x": (INT32, 8), "other": (TEXT, "o")},
]


# SPEC: E4
def test_frozen_columns_stop_the_table_with_the_fields_and_the_setting() -> None:
    with pytest.raises(TableFailure, match=r"new \(bool\), other \(json\)") as caught:
        ruled(DRIFT, new_columns="freeze")
    assert "contract.new_columns" in str(caught.value)
    assert str(caught.value.facts["table"]) == "shop.users"


def test_discarded_columns_are_counted_and_nothing_else() -> None:
    table = ruled(DRIFT, new_columns="discard")
    assert table.rows.to_pydict() == {"_id": [2, 3, 4], "x": [6, 7, 8]}
    assert table.discards == (Discard("new", "discard", 1), Discard("other", "discard", 2))
    assert table.dead_letters == table.errors == table.changes == ()


# SPEC: E7
def test_rows_with_new_columns_are_quarantined_whole_and_once() -> None:
    table = ruled(DRIFT, new_columns="quarantine")
    assert table.rows.to_pydict() == {"_id": [3], "x": [7]}
    assert [(its.reason, its.column, its.key_text, its.record) for its in table.dead_letters] == [
        ("new_column_quarantined", None, "2", repr(DRIFT[0])),
        ("new_column_quarantined", None, "4", repr(DRIFT[2])),
    ]
    assert [(its.error_type, its.action) for its in table.errors] == [("new_column_quarantined", "row set aside")] * 2
    assert table.changes == ()


@pytest.mark.parametrize("policy", ["freeze", "discard", "quarantine"])
def test_a_contract_is_about_established_tables_and_about_values(policy: str) -> None:
    made = conform(
        batch_of(ESTABLISHED),
        None,
        stored_schema="s",
        capabilities=TARGET,
        rules=TableRules(new_columns=policy, type_changes=policy),
    )
    assert [change.kind for change in made.changes] == [ChangeKind.CREATE_TABLE]
    assert made.rows.num_rows == 1
    nothing_new: list[Document] = [{"_id": (INT64, 2), "x": (TEXT, "12"), "y": (INT64, 3)}]
    table = ruled(nothing_new, new_columns=policy, type_changes=policy)
    assert table.rows.to_pydict() == {"_id": [2], "x": [12], "y": ["3"]}
    assert (table.changes, table.discards, table.dead_letters) == ((), (), ())


UNFIT: list[Document] = [
    {"_id": (INT64, 2), "x": (INT64, 2**40), "y": (JSON, "[1]")},
    {"_id": (INT64, 3), "x": (TEXT, "7"), "y": (TEXT, "fine")},
    {"_id": (INT64, 4), "x": (DOUBLE, 0.5)},
    {"_id": (INT64, 5), "x": (INT64, 9)},
]


# SPEC: E2, E3
def test_frozen_types_stop_the_table_with_the_types() -> None:
    with pytest.raises(TableFailure, match=r"x from int32 to double \(int32 meets double, int64, text\)") as caught:
        ruled(UNFIT, type_changes="freeze")
    assert "contract.type_changes" in str(caught.value)


def test_a_frozen_table_takes_bounds_and_sets_objects_aside() -> None:
    known = conform(
        batch_of([{"_id": (INT64, 1), "n": (INT64, 1), "y": (TEXT, "a")}]), None, stored_schema="s", capabilities=TARGET
    ).schema
    table = ruled([{"_id": (INT64, 2), "n": (INT64, 2**53 + 1), "y": (JSON, "{}")}], known, type_changes="freeze")
    assert [change.kind for change in table.changes] == [ChangeKind.BOUNDS]
    assert [(its.reason, its.column) for its in table.dead_letters] == [("drastic_change", "y")]


# SPEC: E11
def test_a_frozen_table_stops_before_its_key_becomes_json() -> None:
    with pytest.raises(TableFailure, match=r"_id \(key\) to text"):
        ruled([{"_id": (TEXT, "a")}], type_changes="freeze")
    assert ruled([{"_id": (NUMERIC, "12345678901234567890")}], type_changes="freeze").rows.num_rows == 1


def test_what_the_destination_cannot_hold_does_not_fit_either() -> None:
    known = conform(
        batch_of([{"_id": (INT64, 1), "n": (NUMERIC, "1.10")}]), None, stored_schema="s", capabilities=TARGET
    ).schema
    table = ruled([{"_id": (INT64, 2), "n": (TEXT, "1e+200000")}], known, type_changes="discard")
    assert table.rows.to_pydict() == {"_id": [2], "n": [None]}
    assert (table.discards, table.dead_letters) == ((Discard("n", "discard", 1),), ())


@pytest.mark.parametrize("policy", ["discard", "quarantine", "json"])
def test_keys_evolve_under_every_other_contract(policy: str) -> None:
    table = ruled([{"_id": (TEXT, "a")}, {"_id": (DOUBLE, 0.5)}], type_changes=policy, new_columns="discard")
    assert [change.kind for change in table.changes] == [ChangeKind.KEY_TO_JSON]
    assert table.rows.to_pydict() == {"_id": ['"a"', "0.5"]}
    assert (table.dead_letters, table.discards) == ((), ())
    wider = ruled([{"_id": (DOUBLE, 0.5)}], type_changes=policy)
    assert [change.kind for change in wider.changes] == [ChangeKind.ALTER_TYPE]


def test_values_that_do_not_fit_are_discarded_and_counted() -> None:
    table = ruled(UNFIT, type_changes="discard")
    assert table.rows.to_pydict() == {"_id": [2, 3, 4, 5], "x": [None, 7, None, 9], "y": [None, "fine", None, None]}
    assert table.discards == (Discard("x", "discard", 2), Discard("y", "discard", 1))
    assert table.dead_letters == table.changes == ()


def test_rows_with_values_that_do_not_fit_are_quarantined_whole_and_once() -> None:
    table = ruled(UNFIT, type_changes="quarantine")
    assert table.rows.to_pydict() == {"_id": [3, 5], "x": [7, 9], "y": ["fine", None]}
    assert [(its.reason, its.column, its.key_text) for its in table.dead_letters] == [
        ("type_change_quarantined", None, "2"),
        ("type_change_quarantined", None, "4"),
    ]
    assert table.changes == ()


@pytest.mark.parametrize("policy", ["discard", "quarantine"])
def test_a_type_that_is_kept_may_widen_its_bounds(policy: str) -> None:
    known = conform(
        batch_of([{"_id": (INT64, 1), "n": (INT64, 1)}]), None, stored_schema="s", capabilities=TARGET
    ).schema
    table = ruled(
        [{"_id": (INT64, 2), "n": (INT64, 2**53 + 1)}, {"_id": (INT64, 3), "n": (TEXT, "x")}],
        known,
        type_changes=policy,
    )
    assert table.schema.columns[1].type == ColumnType(Kind.INT64)
    assert [change.kind for change in table.changes] == [ChangeKind.BOUNDS]
    assert table.rows.column("n").to_pylist()[0] == 2**53 + 1


# SPEC: E6
def test_unlike_values_turn_a_column_to_json_and_lose_nothing() -> None:
    table = ruled([*UNFIT, {"_id": (INT64, 6), "x": (TEXT, "s")}], type_changes="json")
    assert table.rows.to_pydict() == {
        "_id": [2, 3, 4, 5, 6],
        "x": ["1099511627776", '"7"', "0.5", "9", '"s"'],
        "y": ["[1]", '"fine"', None, None, None],
    }
    assert [(its.kind, its.after and str(its.after.type), its.reason) for its in table.changes] == [
        (ChangeKind.ALTER_TYPE, "json", "int32 meets double, int64, text"),
        (ChangeKind.ALTER_TYPE, "json", "text meets json"),
    ]
    assert table.dead_letters == table.discards == ()
    assert [(its.column, its.action) for its in table.errors] == [("x", "kept as JSON"), ("y", "kept as JSON")]


def test_what_widens_within_numbers_stays_a_number_under_json() -> None:
    table = ruled([{"_id": (INT64, 2), "x": (DOUBLE, 0.5)}], type_changes="json")
    assert [str(its.after and its.after.type) for its in table.changes] == ["double"]
