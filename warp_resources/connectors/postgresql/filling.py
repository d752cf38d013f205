"""Composes the statements that fill rewritten columns and put them in their place; executes none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from psycopg import sql

from warp_resources.arrow.lattice import FLOATS
from warp_resources.connectors.postgresql.conversions import compound_key
from warp_resources.connectors.postgresql.merge import key_object, table_identifier
from warp_resources.connectors.postgresql.physical import is_unfilled, whole_value
from warp_resources.connectors.postgresql.rewrites import PROOF
from warp_resources.connectors.postgresql.types import stored_type
from warp_resources.model.tables import Column, Former, Kind, Rewrite, TableSchema


@dataclass(frozen=True, slots=True)
class Blocks:
    """Some of a table's blocks: from ``first`` to before ``end``."""

    first: int
    end: int

    @property
    def condition(self) -> sql.Composed:
        return sql.SQL("t.ctid >= {}::tid and t.ctid < {}::tid").format(
            sql.Literal(f"({self.first},0)"), sql.Literal(f"({self.end},0)")
        )


def fill_blocks(schema: TableSchema, blocks: Blocks) -> sql.Composed:
    """Carry the values of rows that are as before into the new columns. Safe to repeat: filled rows are left alone."""
    pairs = list(_rewrites(schema))
    values = [
        sql.SQL("{} = {}").format(sql.Identifier(rewrite.stored), whole_value(column, rewrite))
        for column, rewrite in pairs
    ]
    return sql.SQL("update {} as t set {} where {} and ({})").format(
        table_identifier(schema),
        sql.SQL(", ").join(values),
        blocks.condition,
        sql.SQL(" or ").join(is_unfilled(rewrite) for _, rewrite in pairs),
    )


def lost_signs(schema: TableSchema, column: Column, former: Former, blocks: Blocks, most_keys: int) -> sql.Composed:
    """How many zeros with a minus sign are to be filled in, and the keys of some of their rows."""
    key = [its for name in schema.key if (its := schema.column(name)) is not None]
    rewrite = column.rewrite
    if rewrite is None:
        raise AssertionError("the column is being rewritten")
    return sql.SQL(
        "with found as (select {key_text} as key_text from {table} as t"
        " where {blocks} and {unfilled} and t.{former} = 0 and t.{former}::text = '-0')"
        " select count(*) as found_count, array(select {key} from found limit {most}) as keys from found"
    ).format(
        key_text=compound_key(key, "t"),
        table=table_identifier(schema),
        blocks=blocks.condition,
        unfilled=is_unfilled(rewrite),
        former=sql.Identifier(former.stored),
        key=key_object(schema),
        most=sql.Literal(most_keys),
    )


def signed_columns(schema: TableSchema) -> Iterator[tuple[Column, Former]]:
    """The columns in which a negative zero loses its sign, with those that hold it."""
    for column, rewrite in _rewrites(schema):
        for former in rewrite.formers:
            if column.type.kind in (Kind.NUMERIC, Kind.JSON) and former.type.kind in FLOATS:
                yield column, former


def add_proof(schema: TableSchema) -> sql.Composed:
    """From now on every row that is written has its value in the new columns, whoever writes it."""
    filled = [sql.SQL("not {}").format(is_unfilled(rewrite, alias="")) for _, rewrite in _rewrites(schema)]
    # Null is never what the tests give, and what lies there already is checked by reading it.
    return sql.SQL("alter table {} add constraint {} check ({}) not valid").format(
        table_identifier(schema), sql.Identifier(PROOF), sql.SQL(" and ").join(filled)
    )


def lock_alone(schema: TableSchema) -> sql.Composed:
    """Keep everybody else out of a table until the transaction ends."""
    return sql.SQL("lock table {} in access exclusive mode").format(table_identifier(schema))


def hold_for_writing(schema: TableSchema) -> sql.Composed:
    """Keep a table from being altered until the transaction ends, beside its readers and writers."""
    return sql.SQL("lock table {} in row exclusive mode").format(table_identifier(schema))


def swap(schema: TableSchema, burdened: set[str]) -> list[sql.Composed]:
    """Put the new columns in place of the former; those that something of the user's hangs on are altered instead."""
    table = table_identifier(schema)
    altered = [(column, its) for column, its in _rewrites(schema) if its.formers[-1].stored in burdened]
    renamed = [(column, its) for column, its in _rewrites(schema) if its.formers[-1].stored not in burdened]
    types = [
        sql.SQL("alter column {} type {} using {}").format(
            sql.Identifier(its.formers[-1].stored),
            sql.SQL(stored_type(column.type)),
            whole_value(column, its, alias=""),
        )
        for column, its in altered
    ]
    dropped = [its.stored for _, its in altered]
    dropped += [former.stored for _, its in altered for former in its.formers[:-1]]
    dropped += [former.stored for _, its in renamed for former in its.formers]
    drops = [sql.SQL("drop column {}").format(sql.Identifier(name)) for name in dropped]
    steps = [_altering(table, types)] if types else []
    steps.append(_altering(table, drops))
    for _, its in renamed:
        pair = sql.Identifier(its.stored), sql.Identifier(its.formers[-1].stored)
        steps.append(sql.SQL("alter table {} rename column {} to {}").format(table, *pair))
    return steps


def _altering(table: sql.Identifier, steps: Sequence[sql.Composed]) -> sql.Composed:
    return sql.SQL("alter table {} {}").format(table, sql.SQL(", ").join(steps))


def _rewrites(schema: TableSchema) -> Iterator[tuple[Column, Rewrite]]:
    for column in schema.rewritten:
        if column.rewrite is not None:
            yield column, column.rewrite
