"""Composes the statements that make and alter tables; executes none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from psycopg import sql

from warp_resources.connectors.postgresql.conversions import compound_key, converted, key_json
from warp_resources.connectors.postgresql.merge import SEQUENCE, SYNCED_AT, key_object, table_identifier
from warp_resources.connectors.postgresql.types import stored_type
from warp_resources.model.tables import ChangeKind, Column, Kind, SchemaChange, TableSchema

_BETWEEN_NAMES = "_warp_renamed_"
ALTERING = (ChangeKind.ALTER_TYPE, ChangeKind.KEY_TO_JSON)


def create_schema(name: str) -> sql.Composed:
    """Make a destination schema."""
    return sql.SQL("create schema {}").format(sql.Identifier(name))


def create_table(schema: TableSchema) -> sql.Composed:
    """Make a table with its key and the engine's own columns."""
    columns = [_definition(column, is_key=column.name in schema.key) for column in schema.columns]
    columns += [
        sql.SQL("{} bigint not null").format(sql.Identifier(SEQUENCE)),
        sql.SQL("{} timestamp with time zone not null").format(sql.Identifier(SYNCED_AT)),
    ]
    if schema.flag:
        columns.append(_flag(schema.flag))
    if schema.key:
        key = sql.SQL(", ").join(sql.Identifier(column.stored) for column in _in_key_order(schema))
        columns.append(sql.SQL("primary key ({})").format(key))
    return sql.SQL("create table {} ({})").format(table_identifier(schema), sql.SQL(", ").join(columns))


def alter_table(schema: TableSchema, changes: Sequence[SchemaChange]) -> sql.Composed | None:
    """All additions and type changes of a commit as one statement, hence one rewrite; None where there are none."""
    steps = [step for change in changes if (step := _step(schema, change)) is not None]
    if not steps:
        return None
    return sql.SQL("alter table {} {}").format(table_identifier(schema), sql.SQL(", ").join(steps))


def rename_flag(schema: TableSchema, changes: Sequence[SchemaChange]) -> sql.Composed | None:
    """Give the column that marks deleted rows its new name, which no other step can share a statement with."""
    for change in changes:
        if change.kind is ChangeKind.DELETION and change.before and change.after and change.before != change.after:
            return sql.SQL("alter table {} rename column {} to {}").format(
                table_identifier(schema),
                sql.Identifier(change.before.stored),
                sql.Identifier(change.after.stored),
            )
    return None


def rename_columns(schema: TableSchema, changes: Sequence[SchemaChange]) -> list[sql.Composed]:
    """Give columns other names, each in a statement of its own; names may be swapped."""
    pairs = [
        (change.before.stored, change.after.stored)
        for change in changes
        if change.kind is ChangeKind.RENAME_COLUMN and change.before and change.after
    ]
    if {before for before, _ in pairs} & {after for _, after in pairs}:
        between = [f"{_BETWEEN_NAMES}{number}" for number in range(len(pairs))]
        steps = list(zip((before for before, _ in pairs), between, strict=True))
        pairs = [*steps, *zip(between, (after for _, after in pairs), strict=True)]
    return [
        sql.SQL("alter table {} rename column {} to {}").format(
            table_identifier(schema), sql.Identifier(before), sql.Identifier(after)
        )
        for before, after in pairs
    ]


def negative_zeros(schema: TableSchema, column: Column, most_keys: int) -> sql.Composed:
    """How many zeros with a minus sign a column of floats has, and the keys of some of their rows."""
    columns = [its for name in schema.key if (its := schema.column(name)) is not None]
    return sql.SQL(
        "with found as (select {key_text} as key_text from {table} as t"
        " where t.{column} = 0 and t.{column}::text = '-0')"
        " select count(*) as found_count, array(select {key} from found limit {most}) as keys from found"
    ).format(
        key_text=compound_key(columns, "t"),
        table=table_identifier(schema),
        column=sql.Identifier(column.stored),
        key=key_object(schema),
        most=sql.Literal(most_keys),
    )


def _step(schema: TableSchema, change: SchemaChange) -> sql.Composed | None:
    column, before = change.after, change.before
    if column is None:
        return None
    if change.kind is ChangeKind.ADD_COLUMN:
        return sql.SQL("add column {}").format(_definition(column, is_key=False))
    if change.kind is ChangeKind.BEGIN_REWRITE and column.rewrite is not None:
        return sql.SQL("add column {}").format(_definition(replace(column, stored=column.rewrite.stored), is_key=False))
    if change.kind is ChangeKind.DELETION and before is None:
        return sql.SQL("add column {}").format(_flag(column.stored))
    if change.kind not in ALTERING or before is None:
        return None
    value = sql.Identifier(before.stored)
    using: sql.Composable
    if change.kind is ChangeKind.KEY_TO_JSON:
        using = key_json(before, value)
    elif stored_type(before.type) == stored_type(column.type):
        return None
    else:
        using = converted(before.type, column.type, value, is_key=column.name in schema.key)
    return sql.SQL("alter column {} type {} using {}").format(
        value, _type(column, is_key=column.name in schema.key), using
    )


def _definition(column: Column, *, is_key: bool) -> sql.Composed:
    null = sql.SQL(" not null" if is_key else "")
    return sql.SQL("{} {}{}").format(sql.Identifier(column.stored), _type(column, is_key=is_key), null)


def _flag(name: str) -> sql.Composed:
    return sql.SQL("{} boolean not null default false").format(sql.Identifier(name))


def _type(column: Column, *, is_key: bool) -> sql.SQL:
    name = stored_type(column.type)
    # Keys are compared byte by byte, which needs no collation library and is several times faster to load.
    return sql.SQL(f'{name} collate "C"' if is_key and column.type.kind is Kind.TEXT else name)


def _in_key_order(schema: TableSchema) -> list[Column]:
    return [column for name in schema.key if (column := schema.column(name)) is not None]
