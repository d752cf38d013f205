"""Reads what users have declared on tables that could refuse a row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any, TypeAlias

from warp_resources.connectors.postgresql.registry import latest_schemas
from warp_resources.connectors.postgresql.session import Connection
from warp_resources.model.tables import TableId, TableSchema

Place: TypeAlias = tuple[str, str]
"""A stored schema and table."""

_COLUMNS = """
array(
    select a.attname::text from unnest({keys}) with ordinality as k (number, turn)
    left join pg_attribute as a on a.attrelid = {table} and a.attnum = k.number and k.number > 0 order by k.turn
)"""
_FOREIGN_KEYS = f"""
select f.conname::text as name, n.nspname::text as parent_schema, p.relname::text as parent_table,
    f.confmatchtype::text = 'f' as is_full,
    {_COLUMNS.format(keys="f.conkey", table="f.conrelid")} as columns,
    {_COLUMNS.format(keys="f.confkey", table="f.confrelid")} as parent_columns
from pg_constraint as f join pg_class as p on p.oid = f.confrelid join pg_namespace as n on n.oid = p.relnamespace
where f.contype = 'f' and f.conrelid = %(table)s::regclass and exists (
    select from pg_trigger as g where g.tgconstraint = f.oid and g.tgrelid = f.conrelid and g.tgenabled in
        ('A', case current_setting('session_replication_role') when 'replica' then 'R' else 'O' end)
) order by f.conname
"""
_UNIQUE = f"""
select c.relname::text as name, {_COLUMNS.format(keys="i.indkey[0:i.indnkeyatts - 1]", table="i.indrelid")} as columns,
    i.indpred is not null or i.indexprs is not null as is_partial,
    coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false) as has_equal_nulls,
    array(select a.attname::text from pg_attribute as a where a.attrelid = i.indrelid and a.attnum = any(i.indkey)
        and not a.attnotnull and a.attgenerated = '') as nullable
from pg_index as i join pg_class as c on c.oid = i.indexrelid
where i.indisunique and i.indisready and not i.indisprimary and i.indrelid = %(table)s::regclass order by c.relname
"""
_ABOUT = """
select
    array(select a.attname::text from pg_attribute as a where a.attrelid = %(table)s::regclass
        and a.attnum > 0 and not a.attisdropped) as columns,
    exists (select from pg_constraint as f where f.contype = 'f' and f.confrelid = %(table)s::regclass
        and f.confdeltype in ('c', 'n', 'd')) as is_followed,
    exists (select from pg_constraint as f where f.contype = 'f' and f.confrelid = %(table)s::regclass
        and f.confupdtype in ('c', 'n', 'd')) as is_update_followed,
    exists (select from pg_trigger as g where g.tgrelid = %(table)s::regclass and not g.tgisinternal
        and g.tgenabled <> 'D' and g.tgtype & 8 > 0) as has_delete_triggers,
    exists (select from pg_trigger as g where g.tgrelid = %(table)s::regclass and not g.tgisinternal
        and g.tgenabled <> 'D' and g.tgtype & 3 = 3) as has_changing_triggers
"""
_REFERENCES = """
select array[cn.nspname, c.relname]::text[] as child, array[pn.nspname, p.relname]::text[] as parent
from pg_constraint as f
join pg_class as c on c.oid = f.conrelid join pg_namespace as cn on cn.oid = c.relnamespace
join pg_class as p on p.oid = f.confrelid join pg_namespace as pn on pn.oid = p.relnamespace
where f.contype = 'f' and cn.nspname = any(%s) and pn.nspname = any(%s)
"""
_OPEN = "select distinct table_name from cartridge_warp_metadata.generations where schema_name = %s and status = 'open'"


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A reference that is enforced: the row's ``columns`` must be ``parent_columns`` of a row of ``parent``."""

    name: str
    columns: tuple[str, ...]
    parent: Place
    parent_columns: tuple[str, ...]
    is_full: bool


@dataclass(frozen=True, slots=True)
class UniqueIndex:
    """A secondary unique key. ``is_plain``: of columns alone, all rows, nulls being distinct."""

    name: str
    columns: tuple[str, ...]
    nullable: tuple[str, ...]
    is_plain: bool


@dataclass(frozen=True, slots=True)
class Constraints:
    """What may refuse the rows of one table.

    ``may_blank`` and ``may_replace``: taking a value away and giving the row another one, or deleting the row and
    inserting it again, changes no other table. ``is_literal``: no trigger may change a row on its way, so that a
    staged row is what will be stored.
    """

    foreign_keys: tuple[ForeignKey, ...] = ()
    unique: Mapping[str, UniqueIndex] | None = None
    may_blank: bool = False
    may_replace: bool = False
    is_literal: bool = False


def read_constraints(connection: Connection, schema: TableSchema, own: Iterable[str]) -> Constraints:
    """The constraints of a table that exists; ``own`` are the stored names of all columns that we write."""
    name = {"table": '"{}"."{}"'.format(*(part.replace('"', '""') for part in place_of(schema)))}
    keys = connection.execute(_FOREIGN_KEYS, name).fetchall()
    indexes = connection.execute(_UNIQUE, name).fetchall()
    [about] = connection.execute(_ABOUT, name).fetchall()
    is_replaceable = not (about.is_followed or about.has_delete_triggers or set(about.columns) - set(own))
    return Constraints(
        foreign_keys=tuple(
            ForeignKey(
                row.name,
                tuple(row.columns),
                (row.parent_schema, row.parent_table),
                tuple(row.parent_columns),
                row.is_full,
            )
            for row in keys
        ),
        unique={row.name: _index(row) for row in indexes},
        may_blank=not about.is_update_followed,
        may_replace=is_replaceable,
        is_literal=not about.has_changing_triggers,
    )


def _index(row: Any) -> UniqueIndex:
    """An expression has no name, and where nulls are not distinct, they make no room."""
    columns = tuple(name for name in row.columns if name is not None)
    nullable = () if row.has_equal_nulls else tuple(row.nullable)
    return UniqueIndex(row.name, columns, nullable, is_plain=not (row.is_partial or row.has_equal_nulls))


def place_of(schema: TableSchema) -> Place:
    """Where a table is stored."""
    return schema.stored_schema, schema.stored_table


def parents_first(connection: Connection, tables: Sequence[TableSchema]) -> list[TableId]:
    """The tables of a commit in an order in which each follows those that it refers to; circles in any order."""
    named = {place_of(schema): schema.table for schema in tables}
    schemas = sorted({schema for schema, _ in named})
    graph: dict[Place, set[Place]] = {place: set() for place in sorted(named)}
    for row in connection.execute(_REFERENCES, [schemas, schemas]).fetchall():
        child, parent = tuple(row.child), tuple(row.parent)
        if child != parent and child in named and parent in named:
            graph[child].add(parent)
    try:
        order = list(TopologicalSorter(graph).static_order())
    except CycleError:
        order = list(graph)
    return [named[place] for place in order]


def places_being_read(connection: Connection, schema: str) -> set[Place]:
    """The stored tables of a schema whose rows are still being read for the first time, or again."""
    being_read = {row.table_name for row in connection.execute(_OPEN, [schema]).fetchall()}
    known = latest_schemas(connection, schema) if being_read else {}
    return {place_of(known[name]) for name in being_read if name in known}
