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
    ``place`` narrows them down to one row: of a partition or heir, and where it lies there.
    """

    schema: TableSchema
    key_text: sql.Composed
    kept: sql.Composed
    first_sequence: int
    first_block: int
    end_block: int
    place: tuple[int, str] | None = None

    @property
    def condition(self) -> sql.Composed:
        narrowed: sql.Composable = sql.SQL("")
        if self.place is not None:
            narrowed = sql.SQL(" and t.tableoid = {}::oid and t.ctid = {}::tid").format(*map(sql.Literal, self.place))
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
    """How many blocks a table has now, or the largest of its partitions."""
    return _of_heaps(schema, "max(pg_relation_size(oid)) / current_setting('block_size')::bigint")


def heap_file(schema: TableSchema) -> sql.Composed:
    """A number for the files that hold a table's rows, which each rewrite changes."""
    return _of_heaps(schema, "coalesce(sum(pg_relation_filenode(oid)::bigint), 0)::bigint")


def _of_heaps(schema: TableSchema, what: str) -> sql.Composed:
    """Of the table and all of its partitions or heirs."""
    return sql.SQL(
        "with recursive heaps (oid) as (select {}::regclass::oid union"
        f" select i.inhrelid from heaps as h join pg_inherits as i on i.inhparent = h.oid) select {what} from heaps"
    ).format(sql.Literal(table_identifier(schema).as_string()))


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
    return sql.SQL("select t.tableoid, t.ctid::text as ctid, {} as key_text from {} as t where {}").format(
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
