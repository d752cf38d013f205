"""Sums up what the metadata has of each table, for status and metrics."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from warp_resources.connectors.postgresql.discards import discards
from warp_resources.connectors.postgresql.session import Connection
from warp_resources.model.statistics import TableStatistics
from warp_resources.model.tables import TableId

_RUNS = """
select table_name, sum(rows_written)::bigint as rows_written, sum(rows_deleted)::bigint as rows_deleted,
    sum(rows_rejected)::bigint as rows_rejected, sum(bytes_transferred)::bigint as byte_count,
    (array_agg(status order by started_at desc nulls last))[1] as status,
    (array_agg(error order by started_at desc nulls last))[1] as error,
    max(finished_at) filter (where status = 'success') as finished_at
from (
    select table_name, rows_written, rows_deleted, rows_rejected, bytes_transferred, status, error,
        case when mode <> 'replay' then started_at end as started_at,
        case when mode not in ('window', 'replay') then finished_at end as finished_at
    from cartridge_warp_metadata.sync_runs where schema_name = %(schema)s
    {removed}
) as r group by table_name
"""
_REMOVED_RUNS = """
    union all
    select table_name, rows_written, rows_deleted, rows_rejected, bytes_transferred, null, null, null, null
    from cartridge_warp_metadata.removed_runs where schema_name = %(schema)s
"""
_LETTERS = """
select table_name, count(*) as dead_letters, count(*) filter (where column_name is null) as rows_set_aside
from cartridge_warp_metadata.dead_letters
where schema_name = %s and status = 'pending' group by table_name
"""
_ERRORS = """
select table_name, error_type, sum(entries)::bigint as entries, sum(warnings)::bigint as warnings
from (
    select table_name, error_type, count(*) as entries,
        count(*) filter (where severity = 'warning' and column_name is not null) as warnings
    from cartridge_warp_metadata.error_log where schema_name = %(schema)s group by table_name, error_type
    {removed}
) as e group by table_name, error_type
"""
_REMOVED_ERRORS = """
    union all
    select table_name, error_type, entries, warnings
    from cartridge_warp_metadata.removed_errors where schema_name = %(schema)s
"""
# Metadata of an earlier version can be read, too.
_HAS_REMOVED = "select to_regclass('cartridge_warp_metadata.removed_errors') is not null"
_CHANGES = """
select table_name, change ->> 'kind' as kind, count(*) as entries
from cartridge_warp_metadata.schema_registry, jsonb_array_elements(changes) as change
where schema_name = %s group by table_name, change ->> 'kind'
"""


def statistics(connection: Connection, schema: str) -> list[TableStatistics]:
    """The figures of each table that any part of the metadata mentions, in name order."""
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    [(has_removed,)] = connection.execute(_HAS_REMOVED).fetchall()
    runs = _RUNS.format(removed=_REMOVED_RUNS if has_removed else "")
    errors = _ERRORS.format(removed=_REMOVED_ERRORS if has_removed else "")
    for row in connection.execute(runs.encode(), {"schema": schema}).fetchall():
        found[row.table_name] |= {name: value for name, value in row._asdict().items() if name != "table_name"}
    for row in connection.execute(_LETTERS, [schema]).fetchall():
        found[row.table_name] |= {"dead_letters": row.dead_letters, "rows_set_aside": row.rows_set_aside}
    for row in connection.execute(errors.encode(), {"schema": schema}).fetchall():
        figures = found[row.table_name]
        figures.setdefault("errors", {})[row.error_type] = row.entries
        figures["conversion_warnings"] = figures.get("conversion_warnings", 0) + row.warnings
    for row in connection.execute(_CHANGES, [schema]).fetchall():
        found[row.table_name].setdefault("schema_changes", {})[row.kind] = row.entries
    for name, of_table in discards(connection, schema).items():
        found[name]["discards"] = of_table
    return [TableStatistics(TableId(schema, name), **figures) for name, figures in sorted(found.items())]
