"""Composes what brings stored values back to a narrower type, and counts those that do not survive it."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import sql

from warp_resources.connectors.postgresql.conversions import canonical_text, converted
from warp_resources.connectors.postgresql.merge import table_identifier
from warp_resources.connectors.postgresql.types import stored_type
from warp_resources.model.tables import Column, ColumnType, Kind, TableSchema
from warp_resources.model.versions import ColumnStep


def parsers(steps: Sequence[ColumnStep]) -> sql.Composed:
    """The temporary functions that read a text as the types of the steps, null where it is none of them."""
    types = dict.fromkeys(step.after.type for step in steps)
    return sql.SQL("\n").join(
        sql.SQL(
            "create or replace function {name}(v text) returns {type} language plpgsql immutable as $$"
            " begin return {value}; exception when others then return null; end $$;"
        ).format(name=_parser(its), type=sql.SQL(stored_type(its)), value=_parsed(its))
        for its in types
    )


def count_refused(schema: TableSchema, steps: Sequence[ColumnStep]) -> sql.Composed:
    """How many values of each step's column do not convert exactly, or not back to what they were."""
    counts = [
        sql.SQL("count(*) filter (where {} is not null and not coalesce({}, false)) as {}").format(
            _value(step.before), _is_kept(step), sql.Identifier(f"step_{number}")
        )
        for number, step in enumerate(steps)
    ]
    return sql.SQL("select {} from {}").format(sql.SQL(", ").join(counts), table_identifier(schema))


def alter_types(schema: TableSchema, steps: Sequence[ColumnStep]) -> sql.Composed:
    """All type changes as one statement, hence one rewrite."""
    parts = [
        sql.SQL("alter column {} type {} using {}").format(
            _value(step.before), _type(step.after, is_key=step.after.name in schema.key), _narrowed(step)
        )
        for step in steps
    ]
    return sql.SQL("alter table {} {}").format(table_identifier(schema), sql.SQL(", ").join(parts))


def _is_kept(step: ColumnStep) -> sql.Composed:
    before, after = step.before.type, step.after.type
    if before.kind is not Kind.JSON:
        return sql.SQL("{} = {}").format(canonical_text(after, _narrowed(step)), _text(step.before))
    # As text: two numbers of jsonb are equal whatever their scale.
    return sql.SQL("({})::text = {}::text").format(converted(after, before, _narrowed(step)), _value(step.before))


def _narrowed(step: ColumnStep) -> sql.Composed:
    return sql.SQL("{}({})").format(_parser(step.after.type), _text(step.before))


def _text(column: Column) -> sql.Composed:
    """A stored value as canonical text; of JSON only strings, numbers and booleans have one."""
    value = _value(column)
    if column.type.kind is Kind.JSON:
        return sql.SQL(
            "case when jsonb_typeof({value}) in ('string', 'number', 'boolean') then {value} #>> '{{}}' end"
        ).format(value=value)
    return canonical_text(column.type, value)


def _parsed(its: ColumnType) -> sql.Composed:
    if its.kind is Kind.BINARY:
        return sql.SQL("decode(v, 'base64')").format()
    return sql.SQL("v::{}").format(sql.SQL(stored_type(its)))


def _parser(its: ColumnType) -> sql.Identifier:
    return sql.Identifier("pg_temp", f"warp_as_{stored_type(its)}".replace(" ", "_"))


def _value(column: Column) -> sql.Identifier:
    return sql.Identifier(column.stored)


def _type(column: Column, *, is_key: bool) -> sql.SQL:
    name = stored_type(column.type)
    return sql.SQL(f'{name} collate "C"' if is_key and column.type.kind is Kind.TEXT else name)
