"""Makes a table again that was dropped by hand, for a reading that brings all of its rows."""

from __future__ import annotations

from warp_resources.connectors.postgresql.closing import abandon
from warp_resources.connectors.postgresql.ddl import create_table
from warp_resources.connectors.postgresql.evolve import make_schema
from warp_resources.connectors.postgresql.letters import add_errors
from warp_resources.connectors.postgresql.markers import set_unloaded
from warp_resources.connectors.postgresql.physical import physical_schema
from warp_resources.connectors.postgresql.registry import is_stored, latest_schema
from warp_resources.connectors.postgresql.rewrites import begin_filling
from warp_resources.connectors.postgresql.session import Connection
from warp_resources.model.batches import ErrorEntry
from warp_resources.model.tables import TableId, TableSchema

_GONE = "the table was dropped in the destination, and with it what was read"


def is_gone(connection: Connection, table: TableId) -> bool:
    """Whether a table that was made once is no longer there."""
    return _gone(connection, table) is not None


def end_readings(connection: Connection, table: TableId) -> None:
    """End the readings of a table that is gone; before its row is locked."""
    abandon(connection, [table], lambda _: True, _GONE)


def remake(connection: Connection, table: TableId) -> None:
    """Make a table that is gone again, empty, under its row's lock; it is not loaded until all of it is read."""
    schema = _gone(connection, table)
    if schema is None:
        return
    make_schema(connection, schema.stored_schema)
    connection.execute(create_table(physical_schema(schema)))
    if schema.rewritten:
        begin_filling(connection, schema)
    set_unloaded(connection, table)
    entry = ErrorEntry(
        table,
        "table_made_again",
        "The table was dropped in the destination; its constraints, indexes and grants are not known here",
        "it is made again and read whole",
    )
    add_errors(connection, [entry], None)


def _gone(connection: Connection, table: TableId) -> TableSchema | None:
    schema = latest_schema(connection, table)
    return None if schema is None or is_stored(connection, schema) else schema
