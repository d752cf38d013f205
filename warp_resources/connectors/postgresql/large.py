"""Decides which type changes are to go on beside the use of their table, since it is large."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from psycopg import sql

from warp_resources.connectors.postgresql.conversions import converted
from warp_resources.connectors.postgresql.session import Connection
from warp_resources.connectors.postgresql.types import stored_type
from warp_resources.errors import RewriteWanted
from warp_resources.model.batches import ConformedTable
from warp_resources.model.tables import ChangeKind, Column, Kind, TableSchema

LARGE_ROWS = 200_000
LARGE_BYTES = 64 * 2**20
"""What an ALTER rewrites in about a second, while nobody can read the table."""
_MOST_COLUMNS = 400
"""Of a table, dropped ones included: wider rows have no room for a second column beside one that is rewritten."""

# Rewritten row by row, a table's triggers would fire, and policies and partitions have rules of their own.
_TABLE = """
select pg_relation_size(c.oid) as bytes, c.reltuples as rows, c.relnatts as columns,
    c.relkind = 'r' and not c.relispartition and not c.relhassubclass and not c.relhasrules
    and not c.relforcerowsecurity and not exists (
        select from pg_trigger as t where t.tgrelid = c.oid and not t.tgisinternal
    ) as is_plain
from pg_class as c join pg_namespace as n on n.oid = c.relnamespace where n.nspname = %s and c.relname = %s
"""
# What hangs on a column goes with it when it is dropped, and nothing hangs on the columns that we make.
_BURDENED = """
select a.attname::text as name from pg_attribute as a
join pg_class as c on c.oid = a.attrelid join pg_namespace as n on n.oid = c.relnamespace
where n.nspname = %s and c.relname = %s and a.attname = any(%s) and not a.attisdropped and (
    a.attnotnull or a.atthasdef or a.attidentity <> '' or a.attgenerated <> '' or a.attinhcount > 0
    or a.attacl is not null or a.attoptions is not null
    or exists (
        select from pg_depend as d
        where d.refclassid = 'pg_class'::regclass and d.refobjid = a.attrelid and d.refobjsubid = a.attnum
    )
    or exists (
        select from pg_description as d
        where d.classoid = 'pg_class'::regclass and d.objoid = a.attrelid and d.objsubid = a.attnum
    )
)
"""


def refuse_long_lock(connection: Connection, part: ConformedTable) -> None:
    """Ask for rewrites beside the table's use where a type change would lock a large one for long.

    Raises:
        RewriteWanted: with the columns; where some other change rewrites the table anyway, only those that a
            rewrite has begun of already.
    """
    rewriting = [(before, after) for before, after in _pairs(part) if needs_rewrite(before, after)]
    wanted = {after.name for before, after in rewriting if before.rewrite is not None}
    others = {after.name: before for before, after in rewriting if before.rewrite is None}
    is_rewritten_anyway = any(change.kind is ChangeKind.KEY_TO_JSON for change in part.changes)
    if others and not is_rewritten_anyway and _can_go_on(connection, part, others):
        wanted |= others.keys()
    if wanted:
        for before, after in rewriting:
            _refuse_unknown_step(before, after)
        raise RewriteWanted(table=part.schema.table, columns=tuple(sorted(wanted)))


def needs_rewrite(before: Column, after: Column) -> bool:
    """Whether PostgreSQL would write every row of the table anew, or a rewrite is under way already."""
    old, new = before.type, after.type
    if stored_type(old) == stored_type(new):
        return False
    return before.rewrite is not None or not (old.kind is new.kind is Kind.NUMERIC and new.precision is None)


def burdened(connection: Connection, schema: TableSchema, names: list[str]) -> set[str]:
    """The stored columns that something of the user's hangs on: an index, a view, a default, a grant, a comment."""
    rows = connection.execute(_BURDENED, [schema.stored_schema, schema.stored_table, names]).fetchall()
    return {row.name for row in rows}


def _can_go_on(connection: Connection, part: ConformedTable, columns: dict[str, Column]) -> bool:
    schema = part.schema
    if any(name in schema.key or its.type.precision is not None for name, its in columns.items()):
        return False
    found = _facts(connection, schema)
    if found is None or not found.is_plain or found.columns > _MOST_COLUMNS:
        return False
    if found.bytes < LARGE_BYTES and found.rows < LARGE_ROWS:
        return False
    return not burdened(connection, schema, [column.stored for column in columns.values()])


def _refuse_unknown_step(before: Column, after: Column) -> None:
    held = before.rewrite.formers if before.rewrite is not None else ()
    for its in (before.type, *(former.type for former in held)):
        converted(its, after.type, sql.SQL("null"))


def _facts(connection: Connection, schema: TableSchema) -> Any:
    return connection.execute(_TABLE, [schema.stored_schema, schema.stored_table]).fetchone()


def _pairs(part: ConformedTable) -> Iterator[tuple[Column, Column]]:
    for change in part.changes:
        if change.kind is ChangeKind.ALTER_TYPE and change.before is not None and change.after is not None:
            yield change.before, change.after
