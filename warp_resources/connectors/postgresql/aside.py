"""Notes in the tables' own rows which of them their stream goes on without."""

from __future__ import annotations

from psycopg.types.json import Jsonb

from warp_resources.connectors.postgresql.session import Connection
from warp_resources.model.positions import Commit, StreamCommit
from warp_resources.model.tables import TableId

_OWN_ROW = "schema_name = %(schema)s and table_name = %(table)s and marker_type <> 'snapshot'"
_SET = f"""
update cartridge_warp_metadata.sync_markers
set aside_position = %(position)s, aside_reason = %(reason)s,
    aside_since = coalesce(aside_since, clock_timestamp()), updated_at = clock_timestamp()
where {_OWN_ROW}
"""
_CLEAR = f"""
update cartridge_warp_metadata.sync_markers
set aside_position = null, aside_reason = null, aside_since = null, updated_at = clock_timestamp()
where {_OWN_ROW}
"""


def aside_tables(commit: Commit) -> set[TableId]:
    """The tables whose rows a commit changes because they are set aside, or no longer are."""
    if not isinstance(commit, StreamCommit):
        return set()
    return {*(its.table for its in commit.aside), *commit.rejoined}


def note_aside(connection: Connection, commit: Commit) -> None:
    """Write down what a commit says of tables that are set aside; their rows are locked."""
    if not isinstance(commit, StreamCommit):
        return
    for its in commit.aside:
        values = {"position": Jsonb(its.position), "reason": its.reason}
        connection.execute(_SET, values | {"schema": its.table.schema, "table": its.table.name})
    for table in commit.rejoined:
        connection.execute(_CLEAR, {"schema": table.schema, "table": table.name})
