"""Counts the values that were dropped, hashed, masked or discarded because the configuration says so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from warp_resources.connectors.postgresql.session import Connection
from warp_resources.model.batches import ConformedTable, Discard

_ADD = """
insert into cartridge_warp_metadata.discards as d (schema_name, table_name, column_name, action, value_count)
select * from unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::bigint[])
on conflict (schema_name, table_name, column_name, action)
do update set value_count = d.value_count + excluded.value_count
"""
_OF_SCHEMA = """
select table_name, column_name, action, value_count from cartridge_warp_metadata.discards
where schema_name = %s order by table_name, column_name, action
"""
# Metadata of an earlier version can be read, too.
_IS_COUNTED = "select to_regclass('cartridge_warp_metadata.discards') is not null"


def add_discards(connection: Connection, tables: Sequence[ConformedTable]) -> None:
    """Add what a commit's tables discard, in one statement; the tables' rows are locked by now."""
    counts: Counter[tuple[str, str, str, str]] = Counter()
    for part in tables:
        name = part.schema.table
        for its in part.discards:
            counts[name.schema, name.name, its.column.replace("\0", ""), its.action] += its.count
    if counts:
        rows = [(*place, count) for place, count in sorted(counts.items())]
        connection.execute(_ADD, [list(column) for column in zip(*rows, strict=True)])


def discards(connection: Connection, schema: str) -> dict[str, tuple[Discard, ...]]:
    """What was discarded of each table so far, by table name."""
    [(is_counted,)] = connection.execute(_IS_COUNTED).fetchall()
    found: dict[str, tuple[Discard, ...]] = {}
    for row in connection.execute(_OF_SCHEMA, [schema]).fetchall() if is_counted else ():
        discard = Discard(row.column_name, row.action, row.value_count)
        found[row.table_name] = (*found.get(row.table_name, ()), discard)
    return found
