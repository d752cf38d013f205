"""Columns that a destination has as arrays of its own: decided when they are made, and for arrays alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.pipeline.documents import INT32, JSON, TARGET, TEXT, Document, Value, batch_of
from warp_resources.evolution.history import column_changes
from warp_resources.model.batches import ConformedTable
from warp_resources.model.rules import TableRules
from warp_resources.model.tables import ChangeKind, TableSchema
from warp_resources.model.versions import SchemaVersion
from warp_resources.pipeline.conform import conform

ARRAYS = TableRules(arrays=("tags", "_id"))


def documents(*values: Value | None) -> list[Document]:
    return [
        {"_id": (INT32, number)} | ({"tags": value} if value is not None else {}) for number, value in enumerate(values)
    ]


def conformed(*values: Value | None, known: TableSchema | None = None, rules: TableRules = ARRAYS) -> ConformedTable:
    return conform(batch_of(documents(*values)), known, stored_schema="s", capabilities=TARGET, rules=rules)


def lost(table: ConformedTable) -> list[tuple[str, str | None, str | None]]:
    return [(its.reason, its.column, its.key_text) for its in table.dead_letters]


def is_array(table: ConformedTable) -> bool:
    column = table.schema.column("tags")
    assert column is not None
    return column.is_array


def test_what_is_no_array_is_lost_and_nothing_else_of_its_row() -> None:
    # SPEC: E6 E8
    values = ["[]", " [1, null]", "null", "7", '{"a": []}', '"[1]"']
    table = conformed(*[(JSON, value) for value in values], None, (TEXT, "[1]"))
    assert is_array(table)
    assert table.rows.column("tags").to_pylist() == ["[]", " [1, null]", *[None] * 6]
    assert lost(table) == [("not_an_array", "tags", key) for key in ("3", "4", "5", "7")]
    assert [entry.action for entry in table.errors] == ["value set aside"] * 4


def test_the_choice_counts_when_a_column_is_made() -> None:
    # SPEC: E2 E3
    array = (JSON, "[1]")
    made = conformed(array)
    again = conformed((JSON, "8"), array, known=made.schema, rules=TableRules())
    assert (again.changes, len(again.dead_letters), is_array(again)) == ((), 1, True)

    plain = conformed(array, rules=TableRules())
    later = conformed((JSON, "8"), known=plain.schema)
    assert (later.changes, later.dead_letters, is_array(later)) == ((), (), False)

    added = conformed(array, known=conformed(None).schema)
    [change] = added.changes
    assert change.kind is ChangeKind.ADD_COLUMN
    assert change.after == added.schema.column("tags")
    assert is_array(added)


@pytest.mark.parametrize("value", [(TEXT, "[1]"), (INT32, 1)])
def test_columns_of_other_kinds_stay_what_they_are(value: Value) -> None:
    table = conformed(value)
    assert not is_array(table)
    assert not table.dead_letters
    grown = conformed((JSON, "[1]"), known=table.schema, rules=replace(ARRAYS, types={"tags": JSON}))
    assert not is_array(grown)


def test_an_array_that_becomes_text_is_none_any_more() -> None:
    # SPEC: E3
    text = conformed((TEXT, "x"), known=conformed((JSON, "[1]")).schema, rules=replace(ARRAYS, types={"tags": TEXT}))
    assert [change.kind for change in text.changes] == [ChangeKind.ALTER_TYPE]
    assert not is_array(text)
    assert text.rows.column("tags").to_pylist() == ["x"]


def test_history_says_what_is_an_array() -> None:
    added = conformed((JSON, "[1]"), known=conformed(None).schema)
    [change] = column_changes(SchemaVersion(added.schema, added.changes, None, ""))  # type: ignore[arg-type]
    assert change.after == "json (array)"
