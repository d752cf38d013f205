"""Removes metadata whose time is over; what was counted of it stays counted among the control rows."""

from __future__ import annotations

from datetime import timedelta

from warp_resources.connectors.bigquery.control import read_control
from warp_resources.connectors.bigquery.errors import Collision
from warp_resources.connectors.bigquery.merge import literal
from warp_resources.connectors.bigquery.views import schemas_of
from warp_resources.connectors.bigquery.warehouse import Warehouse
from warp_resources.model.retention import RetentionPeriods


def remove_expired(warehouse: Warehouse, periods: RetentionPeriods) -> int:
    """Remove all rows that are older than their period; how many. 0 also while another process is at it."""
    statements = [
        _deletion(warehouse.log("error_log"), "occurred_at", periods.error_log),
        _deletion(warehouse.log("ended_runs"), "finished_at", periods.sync_runs),
        _deletion(warehouse.log("deletion_log"), "deleted_at", periods.deletion_log),
        *(_letters(warehouse, schema, periods.resolved_dead_letters) for schema in schemas_of(warehouse)),
    ]
    # Each by itself: none of them is in the way of a commit, which only adds to the logs.
    return sum(_removed(warehouse, statement) for statement in statements)


def _removed(warehouse: Warehouse, statement: str) -> int:
    script = f"declare removed int64; {statement}; set removed = @@row_count; select removed;"
    try:
        return int(warehouse.session.run(script, kind="retention")[0][0])
    except Collision:
        return 0


def _deletion(table: str, column: str, age: timedelta) -> str:
    seconds = int(age.total_seconds())
    return f"delete from {table} where {column} < timestamp_sub(current_timestamp(), interval {seconds} second)"


def _letters(warehouse: Warehouse, schema: str, age: timedelta) -> str:
    rows = read_control(warehouse.session, warehouse.metadata, schema)
    being_read = [literal(name) for name, row in rows.tables.items() if row.readings]
    spared = f" and table_name not in ({', '.join(being_read)})" if being_read else ""
    deletion = _deletion(warehouse.own("dead_letters", schema), "resolved_at", age)
    return f"{deletion} and status <> 'pending'{spared}"
