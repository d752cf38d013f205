"""Versions of a table's schema: what differs between two, and the way back to one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from warp_resources.dagster_bridge.versions import MOST_CHANGES, changes_text
from warp_resources.errors import ConfigurationError
from warp_resources.evolution.history import column_changes, difference, rolled_back, version_of, way_back
from warp_resources.model.tables import ChangeKind, Column, ColumnType, Kind, SchemaChange, TableId, TableSchema
from warp_resources.model.versions import SchemaVersion

EXACT, INT, DOUBLE, TEXT, JSON = (
    ColumnType(Kind.INT64, exact=True),
    ColumnType(Kind.INT64),
    ColumnType(Kind.DOUBLE),
    ColumnType(Kind.TEXT),
    ColumnType(Kind.JSON),
)
KEY = Column("_id", "_id", INT, family="number")
NOW = datetime(2024, 5, 1, 12, 30, tzinfo=UTC)


def schema(version: int, *columns: Column, key: Column = KEY) -> TableSchema:
    return TableSchema(TableId("shop", "users"), "shop", "users", (key, *columns), ("_id",), version)


def column(name: str, its: ColumnType) -> Column:
    return Column(name, name, its)


def made(of: TableSchema, *changes: SchemaChange) -> SchemaVersion:
    return SchemaVersion(of, changes, NOW, "run-1")


# SPEC: 13
def test_the_way_back_narrows_types_and_keeps_what_came_since() -> None:
    first = schema(1, column("a", EXACT), column("b", EXACT), column("c", INT))
    present = schema(7, column("a", DOUBLE), column("b", TEXT), column("c", INT), column("d", JSON))
    back = way_back(present, first)
    assert [(step.before.type, step.after.type) for step in back.steps] == [(DOUBLE, EXACT), (TEXT, INT)], (
        "that all integers are exact in a double is not proved of those that came as text"
    )
    assert [kept.name for kept in back.kept] == ["d"]
    refused = replace(back, steps=(replace(back.steps[0], refused=2), back.steps[1]))
    after, changes = rolled_back(refused)
    assert after == schema(8, column("a", DOUBLE), column("b", INT), column("c", INT), column("d", JSON))
    assert [(change.kind, change.reason) for change in changes] == [(ChangeKind.ALTER_TYPE, "rolled back to version 1")]


# SPEC: 13, E11
def test_a_key_that_became_json_text_stays() -> None:
    mixed = replace(KEY, type=TEXT, family="mixed")
    back = way_back(schema(2, key=mixed), schema(1))
    assert (back.steps, back.fixed) == ((), (mixed,))


# SPEC: 13, E8
def test_json_that_became_text_stays() -> None:
    back = way_back(schema(2, column("a", TEXT)), schema(1, column("a", JSON)))
    assert (back.steps, back.fixed) == ((), (column("a", TEXT),))


# SPEC: 13
def test_bounds_are_no_step_back() -> None:
    assert way_back(schema(2, column("a", INT)), schema(1, column("a", EXACT))).steps == ()


# SPEC: T2, E10
def test_what_differs_between_two_versions_is_told_by_column() -> None:
    first = schema(1, column("a", INT), column("b", INT))
    later = replace(
        schema(3, column("a", TEXT), replace(column("b", INT), stored="bee"), column("d", JSON)),
        flag="gone",
        is_soft=True,
    )
    assert [(its.kind, its.column, its.before, its.after) for its in difference(first, later)] == [
        ("alter_type", "a", "int64", "text"),
        ("rename_column", "bee", "b: int64", "int64"),
        ("add_column", "d", None, "json"),
        ("deletion", "gone", "hard", "soft, flag gone"),
    ]
    assert difference(first, first) == []
    assert [its.kind for its in difference(later, first)] == ["alter_type", "rename_column", "gone", "deletion"]


# SPEC: T2
def test_a_new_table_tells_its_columns() -> None:
    version = made(schema(1, column("a", EXACT)), SchemaChange(ChangeKind.CREATE_TABLE, reason="new table"))
    assert [(its.column, its.after, its.reason) for its in column_changes(version)] == [
        ("_id", "int64 (number keys)", "new table"),
        ("a", "int64 (exact in a double)", "new table"),
    ]


def test_a_version_that_is_not_there_is_told() -> None:
    versions = [made(schema(1)), made(schema(2))]
    assert version_of(versions, 2).schema.version == 2
    with pytest.raises(ConfigurationError, match="versions 1 to 2"):
        version_of(versions, 3)


# SPEC: E10, D6
def test_dagster_shows_the_latest_changes_as_markdown() -> None:
    versions = [made(schema(1), SchemaChange(ChangeKind.CREATE_TABLE, reason="new table"))]
    for number in range(2, 40):
        added = column(f"a|{number}", TEXT)
        versions.append(made(schema(number, added), SchemaChange(ChangeKind.ADD_COLUMN, after=added, reason="*new*")))
    lines = changes_text(versions).splitlines()
    assert len(lines) == 2 + MOST_CHANGES
    assert lines[2] == r"| 39 | 2024-05-01 12:30:00 | a\|39 |  | text | \*new\* |"
