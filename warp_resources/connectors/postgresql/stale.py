"""Composes the statements that find and remove (or flag) the rows that no chunk has seen; executes none."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import sql

from warp_resources.connectors.postgresql.merge import SEQUENCE, is_live, logged, removal, table_identifier
from warp_resources.model.tables import TableSchema


@dataclass(frozen=True, slots=True)
class Stale:
    """Rows of some of a table's blocks that no chunk of a generation has seen.

    ``key_text`` is a row's key as text, of the alias ``t``; ``kept`` is a query of key texts to spare.
    ``ctid`` narrows them down to one row.
    """

    schema: TableSchema
    key_text: sql.Composed
    kept: sql.Composed
    first_sequence: int
    first_block: int
    end_block: int
    ctid: str = ""

    @property
    def condition(self) -> sql.Composed:
        narrowed = sql.SQL(" and t.ctid = {}::tid").format(sql.Literal(self.ctid)) if self.ctid else sql.SQL("")
        return sql.SQL("t.ctid >= {}::tid and t.ctid < {}::tid and t.{} <= {} and {} not in ({}){}").format(
            sql.Literal(f"({self.first_block},0)"),
            sql.Literal(f"({self.end_block},0)"),
            sql.Identifier(SEQUENCE),
            sql.Literal(self.first_sequence),
            self.key_text,
            self.kept,
            narrowed,
        )


def count_blocks(schema: TableSchema) -> sql.Composed:
    """How many blocks a table has now."""
    return sql.SQL("select pg_relation_size({}::regclass) / current_setting('block_size')::bigint").format(
        sql.Literal(table_identifier(schema).as_string())
    )


def heap_file(schema: TableSchema) -> sql.Composed:
    """Which file holds a table's rows; each rewrite makes another."""
    return sql.SQL("select pg_relation_filenode({}::regclass)").format(
        sql.Literal(table_identifier(schema).as_string())
    )


def hold_table(schema: TableSchema) -> sql.Composed:
    """Keep a table from being altered or rewritten until the transaction ends."""
    return sql.SQL("lock table {} in access share mode").format(table_identifier(schema))


def any_stale(stale: Stale) -> sql.Composed:
    """Whether there is any such row that is live."""
    return sql.SQL("select exists (select from {} as t where {})").format(
        table_identifier(stale.schema), _live_condition(stale)
    )


def stale_rows(stale: Stale) -> sql.Composed:
    """Where such rows that are live lie, and their keys as text."""
    return sql.SQL("select t.ctid::text as ctid, {} as key_text from {} as t where {}").format(
        stale.key_text, table_identifier(stale.schema), _live_condition(stale)
    )


def _live_condition(stale: Stale) -> sql.Composed:
    if not stale.schema.flag:
        return stale.condition
    return sql.SQL("{} and {}").format(stale.condition, is_live(stale.schema))


def delete_stale(stale: Stale, *, sequence: int) -> sql.Composed:
    """Delete or flag such rows and log them. Safe to repeat."""
    deletion = removal(stale.schema, condition=stale.condition, key_text=stale.key_text, sequence=sequence)
    return logged(deletion, stale.schema, cause="stale", sequence=sequence, position=None)
