"""Opens generations under their table's lock, alone or where a stream has to start anew."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import sql

from warp_resources.connectors.postgresql.generations import begin_generation
from warp_resources.connectors.postgresql.markers import STREAM, lock_tables
from warp_resources.connectors.postgresql.merge import table_identifier
from warp_resources.connectors.postgresql.plans import save_plan, table_plan
from warp_resources.connectors.postgresql.registry import is_stored, latest_schema
from warp_resources.connectors.postgresql.remaking import end_readings, is_gone, remake
from warp_resources.connectors.postgresql.session import Connection
from warp_resources.model.positions import GenerationState, KeyRange, Position
from warp_resources.model.tables import TableId


def open_reading(
    connection: Connection,
    table: TableId,
    generation: str,
    slices: Sequence[str] | None = None,
    ceiling: Position | None = None,
    *,
    removes_stale: bool = True,
) -> GenerationState:
    """Open a generation over the stored plan, or take up and widen the open one of that name.

    A table that was dropped here is made again by one that is whole.
    """
    if is_gone(connection, table):
        end_readings(connection, table)
    row = lock_tables(connection, [table], STREAM)[table]
    state = begin_generation(
        connection,
        table,
        generation,
        slices,
        sequence=row.state.sequence,
        is_straight=_is_empty(connection, table),
        ceiling=ceiling,
        removes_stale=removes_stale,
    )
    if state.is_whole:
        remake(connection, table)
    return state


def open_whole_reading(connection: Connection, table: TableId, generation: str) -> None:
    """Open a generation over all keys; a table that nobody has planned yet is one slice."""
    lock_tables(connection, [table], STREAM)
    if not table_plan(connection, table):
        save_plan(connection, table, [KeyRange()])
    open_reading(connection, table, generation)


def _is_empty(connection: Connection, table: TableId) -> bool:
    schema = latest_schema(connection, table)
    if schema is None or not is_stored(connection, schema):
        return True
    found = connection.execute(sql.SQL("select not exists (select from {})").format(table_identifier(schema)))
    return bool(found.fetchall()[0][0])
