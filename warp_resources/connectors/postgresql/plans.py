"""Keeps the plan of each table: the key ranges of its slices."""

from __future__ import annotations

from collections.abc import Sequence

from warp_resources.connectors.postgresql.session import Connection
from warp_resources.model.positions import KeyRange
from warp_resources.model.tables import TableId

_SELECT = """
select lower_bound, upper_bound from cartridge_warp_metadata.plans
where schema_name = %s and table_name = %s order by ordinal
"""
_IS_OPEN = """
select exists (
    select from cartridge_warp_metadata.generations where schema_name = %s and table_name = %s and status = 'open'
)
"""
_INSERT = """
insert into cartridge_warp_metadata.plans (schema_name, table_name, ordinal, lower_bound, upper_bound)
values (%s, %s, %s, %s, %s)
"""


def table_plan(connection: Connection, table: TableId) -> list[KeyRange]:
    """The stored ranges of a table, in order."""
    rows = connection.execute(_SELECT, [table.schema, table.name]).fetchall()
    return [KeyRange(row.lower_bound, row.upper_bound) for row in rows]


def save_plan(connection: Connection, table: TableId, ranges: Sequence[KeyRange]) -> list[KeyRange]:
    """Store a plan under the table's lock; the stored one stays if it has the same count or is being read."""
    key = [table.schema, table.name]
    known = table_plan(connection, table)
    is_open = connection.execute(_IS_OPEN, key).fetchone()
    if known and (len(known) == len(ranges) or (is_open and is_open[0])):
        return known
    connection.execute("delete from cartridge_warp_metadata.plans where schema_name = %s and table_name = %s", key)
    with connection.cursor() as cursor:
        cursor.executemany(_INSERT, [[*key, i, part.lower, part.upper] for i, part in enumerate(ranges)])
    return list(ranges)
