"""Composes the statements that find and remove the rows that no chunk of a generation has seen; executes none."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import sql

from warp_resources.connectors.postgresql.merge import SEQUENCE, logged, table_identifier
from warp_resources.model.tables import TableSchema


@dataclass(frozen=True, slots=True)
class Stale:
    """Rows of some of a table's blocks that no chunk of a generation has seen.

    ``key_text`` is a row's key as text, of the alias ``t``; ``kept`` is a query of key texts to spare.
    """

    schema: TableSchema
    key_text: sql.Composed
    kept: sql.Composed
    first_sequence: int
    first_block: int
    end_block: int

    @property
    def condition(self) -> sql.Composed:
        return sql.SQL("t.ctid >= {}::tid and t.ctid < {}::tid and t.{} <= {} and {} not in ({})").format(
            sql.Literal(f"({self.first_block},0)"),
            sql.Literal(f"({self.end_block},0)"),
            sql.Identifier(SEQUENCE),
            sql.Literal(self.first_sequence),
            self.key_text,
            self.kept,
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
    """Whether there is any such row."""
    return sql.SQL("select exists (select from {} as t where {})").format(
        table_identifier(stale.schema), stale.condition
    )


def delete_stale(stale: Stale, *, sequence: int) -> sql.Composed:
    """Delete and log such rows. Safe to repeat."""
    deletion = sql.SQL("delete from {} as t where {} returning {} as key_text").format(
        table_identifier(stale.schema), stale.condition, stale.key_text
    )
    return logged(deletion, stale.schema, cause="stale", sequence=sequence, position=None)
