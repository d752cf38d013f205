"""Type changes that go on beside the use of their table: how a commit begins them, how a version ends them."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa

from warp_resources.evolution.rewriting import begin_rewrites, end_rewrites
from warp_resources.model.batches import ConformedTable
from warp_resources.model.tables import (
    ChangeKind,
    Column,
    ColumnType,
    Former,
    Kind,
    SchemaChange,
    TableId,
    TableSchema,
)

INT, NUMERIC, TEXT = (ColumnType(kind) for kind in (Kind.INT64, Kind.NUMERIC, Kind.TEXT))


def part(schema: TableSchema, *changed: tuple[str, ColumnType]) -> ConformedTable:
    """An empty part that alters columns to types."""
    columns = {column.name: column for column in schema.columns}
    changes = []
    for name, its in changed:
        after = replace(columns[name], type=its)
        changes.append(SchemaChange(ChangeKind.ALTER_TYPE, after, columns[name]))
        columns[name] = after
    rows = pa.RecordBatch.from_pylist([])
    moved = replace(schema, columns=tuple(columns.values()), version=schema.version + 1)
    texts = pa.array([], pa.string())
    return ConformedTable(moved, schema.version, tuple(changes), rows, None, lambda: texts, lambda: texts)


BASIS = TableSchema(
    TableId("s", "t"), "s", "t", (Column("k", "k", INT), Column("a", "a_1", INT), Column("b", "b", INT)), ("k",), 1
)


def test_only_the_named_columns_begin() -> None:
    # SPEC: E2 T2
    begun = begin_rewrites(part(BASIS, ("a", TEXT), ("b", NUMERIC)), ["a"])
    assert [change.kind for change in begun.changes] == [ChangeKind.BEGIN_REWRITE, ChangeKind.ALTER_TYPE]
    [column] = begun.schema.rewritten
    assert (column.name, column.stored, column.type) == ("a", "a_1", TEXT)
    assert column.rewrite is not None
    assert column.rewrite.formers == (Former("a_1", INT),)
    assert begun.changes[0].after == column
    assert begun.schema.version == 2


def test_a_second_change_keeps_what_the_first_had_reached() -> None:
    # SPEC: E8
    first = begin_rewrites(part(BASIS, ("a", NUMERIC)), ["a"]).schema
    second = begin_rewrites(part(first, ("a", TEXT)), ["a"]).schema
    [before], [after] = first.rewritten, second.rewritten
    assert before.rewrite is not None
    assert after.rewrite is not None
    assert after.rewrite.formers == (Former(before.rewrite.stored, NUMERIC), Former("a_1", INT))
    assert after.rewrite.stored not in ("a_1", before.rewrite.stored)
    assert after.rewrite.stored.startswith("_warp_new_")


def test_the_end_is_a_version_with_the_types_alone() -> None:
    # SPEC: T2
    begun = begin_rewrites(part(BASIS, ("a", TEXT), ("b", TEXT)), ["a", "b"]).schema
    ended, changes = end_rewrites(begun)
    assert ended.version == 3
    assert ended.columns == (BASIS.columns[0], Column("a", "a_1", TEXT), Column("b", "b", TEXT))
    assert [(change.kind, change.after.name) for change in changes if change.after] == [
        (ChangeKind.END_REWRITE, "a"),
        (ChangeKind.END_REWRITE, "b"),
    ]
