"""Composes the statements that compare staged rows with a table's rows; executes none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from psycopg import sql

from warp_resources.arrow.keys import MIXED
from warp_resources.connectors.postgresql.conversions import compound_key, converted, key_json
from warp_resources.connectors.postgresql.merge import (
    SEQUENCE,
    Target,
    is_live,
    may_differ,
    staged_value,
    table_identifier,
)
from warp_resources.connectors.postgresql.physical import is_former, value_of
from warp_resources.connectors.postgresql.types import stored_type
from warp_resources.model.tables import Column, TableId, TableSchema


def make_seen(schema: TableSchema, seen: sql.Identifier) -> sql.Composed:
    """An empty temporary table for the keys of a table's rows, in their own types and collations."""
    return sql.SQL("create temporary table {} as select {} from {} as t limit 0").format(
        seen, _keys(schema), table_identifier(schema)
    )


def compare_rows(stored: TableSchema, target: Target, ordinal: int, seen: sql.Identifier) -> sql.Composed:
    """The staged rows that are missing or not the same, and a note of those of the table that have their keys.

    Args:
        stored: the table as it is; ``target.schema`` is what the rows were conformed to.
        ordinal: which staging column numbers the rows.
    """
    return sql.SQL(
        "with pairs as materialized (select s.{ordinal} as ordinal, t.{sequence} as sequence, {keys},"
        " (t.{sequence} is null or not ({is_live})) as is_missing, {differs} as differs"
        " from {staging} as s left join {table} as t on {same_key}),"
        " noted as (insert into {seen} select {names} from pairs where sequence is not null)"
        " select ordinal, sequence, is_missing from pairs where is_missing or differs order by ordinal"
    ).format(
        ordinal=sql.Identifier(f"c{ordinal}"),
        sequence=sql.Identifier(SEQUENCE),
        keys=_keys(stored),
        is_live=is_live(stored),
        differs=_differs(stored, target),
        staging=target.staging,
        table=table_identifier(stored),
        same_key=_same_key(stored, target),
        seen=seen,
        names=_key_names(stored),
    )


def remaining_rows(stored: TableSchema, target: Target, key_text: int) -> sql.Composed:
    """The staged keys of deletes whose rows are still there, by their text."""
    return sql.SQL(
        "select s.{key_text} as key_text, t.{sequence} as sequence from {staging} as s join {table} as t on {same_key}"
        " where {is_live}"
    ).format(
        key_text=sql.Identifier(f"c{key_text}"),
        sequence=sql.Identifier(SEQUENCE),
        staging=target.staging,
        table=table_identifier(stored),
        same_key=_same_key(stored, target),
        is_live=is_live(stored),
    )


def surplus_rows(stored: TableSchema, seen: sql.Identifier, limit: int, *, since: int) -> sql.Composed:
    """Some of the rows whose keys are not noted, which are noted now; not those of commits after ``since``.

    A sequence beyond the table's own was made by no commit.
    """
    keys = [sql.Identifier(f"k{index}") for index, _ in enumerate(stored.key_columns)]
    same = [
        sql.SQL("n.{} = t.{}").format(key, sql.Identifier(column.stored))
        for key, column in zip(keys, stored.key_columns, strict=True)
    ]
    return sql.SQL(
        "with found as materialized (select {keys}, {key_text} as key_text, t.{sequence} as sequence from {table} as t"
        " where {is_live} and t.{sequence} not between {first} and ({last})"
        " and not exists (select from {seen} as n where {same}) limit {limit}),"
        " noted as (insert into {seen} select {names} from found)"
        " select key_text, sequence from found"
    ).format(
        keys=_keys(stored),
        key_text=compound_key(_in_key_order(stored), "t"),
        sequence=sql.Identifier(SEQUENCE),
        table=table_identifier(stored),
        is_live=is_live(stored),
        seen=seen,
        same=sql.SQL(" and ").join(same),
        limit=sql.Literal(limit),
        first=sql.Literal(since + 1),
        last=_latest(stored.table),
        names=_key_names(stored),
    )


def _latest(table: TableId) -> sql.Composed:
    """The table's sequence, of the instant at which the rows are read too."""
    return sql.SQL(
        "select sequence from cartridge_warp_metadata.sync_markers"
        " where schema_name = {} and table_name = {} and marker_type <> 'snapshot'"
    ).format(sql.Literal(table.schema), sql.Literal(table.name))


def _differs(stored: TableSchema, target: Target) -> sql.Composable:
    others = [
        (index, column)
        for index, column in enumerate(target.columns)
        if may_differ(target.schema, column) and not is_former(column)
    ]
    here = [_present(stored, column) for _, column in others]
    there = [staged_value(index, column) for index, column in others]
    for column in target.missing:
        here.append(_present(stored, column))
        there.append(sql.SQL("null::{}").format(sql.SQL(stored_type(column.type))))
    if not here:
        return sql.SQL("false")
    # By image, not by value: 1.1 and 1.10 are equal, as 0 and -0 are, and yet not the same.
    return sql.SQL("row({})::record *<> row({})::record").format(_listed(here), _listed(there))


def _same_key(stored: TableSchema, target: Target) -> sql.Composed:
    tests = [
        sql.SQL("{} = {}").format(_present(stored, column), staged_value(index, column))
        for index, column in enumerate(target.columns)
        if column.name in target.schema.key
    ]
    return sql.SQL(" and ").join(tests)


def _present(stored: TableSchema, wanted: Column) -> sql.Composable:
    """What the table has in a column, as it would be once the column is of the wanted type.

    A column may be of a domain over its type by now, which is not comparable by image.
    """
    known = stored.column(wanted.name)
    if known is None:
        return sql.SQL("null::{}").format(sql.SQL(stored_type(wanted.type)))
    value = value_of(known)
    if wanted.family == MIXED and known.family != MIXED:
        return key_json(known, value)
    if stored_type(known.type) == stored_type(wanted.type):
        return sql.SQL("{}::{}").format(value, sql.SQL(stored_type(wanted.type)))
    return converted(known.type, wanted.type, value, is_key=wanted.name in stored.key)


def _keys(schema: TableSchema) -> sql.Composed:
    return _listed(
        sql.SQL("t.{} as {}").format(sql.Identifier(column.stored), sql.Identifier(f"k{index}"))
        for index, column in enumerate(schema.key_columns)
    )


def _key_names(schema: TableSchema) -> sql.Composed:
    return _listed(sql.Identifier(f"k{index}") for index, _ in enumerate(schema.key_columns))


def _in_key_order(schema: TableSchema) -> Sequence[Column]:
    return [column for name in schema.key if (column := schema.column(name)) is not None]


def _listed(parts: Iterable[sql.Composable]) -> sql.Composed:
    return sql.SQL(", ").join(parts)
