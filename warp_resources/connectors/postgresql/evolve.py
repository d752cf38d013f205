"""Applies the schema changes of a commit, inside its transaction."""

from __future__ import annotations

from warp_resources.connectors.postgresql.conversions import temporary_functions
from warp_resources.connectors.postgresql.ddl import ALTERING, alter_table, create_schema, create_table
from warp_resources.connectors.postgresql.registry import is_stored, register
from warp_resources.connectors.postgresql.session import Connection
from warp_resources.errors import OperatorError
from warp_resources.model.batches import ConformedTable
from warp_resources.model.tables import ChangeKind, TableSchema

_LOCK_TIMEOUT = "5s"
_SCHEMA_LOCK = 4_771_310_292_882


def apply_changes(connection: Connection, part: ConformedTable, run_id: str) -> None:
    """Create or alter the table and record the version; does nothing without changes.

    Raises:
        OperatorError: a table of that name exists that the registry does not know.
    """
    if not part.changes:
        return
    connection.execute(f"set local lock_timeout = '{_LOCK_TIMEOUT}'")
    if any(change.kind is ChangeKind.CREATE_TABLE for change in part.changes):
        _create(connection, part.schema)
    else:
        _alter(connection, part)
    register(connection, part, run_id)
    # What follows may wait for its rows longer than readers of the table have to wait for an ALTER.
    connection.execute("set local lock_timeout = 0")


def _create(connection: Connection, schema: TableSchema) -> None:
    if is_stored(connection, schema):
        raise OperatorError(
            "The destination has a table of this name that cartridge-warp did not make",
            remedy="Rename or drop it, or set another destination.schema",
            table=f"{schema.stored_schema}.{schema.stored_table}",
            source=schema.table,
        )
    if not _has_schema(connection, schema.stored_schema):
        # Not `if not exists`: that asks for CREATE on the database even where the schema is there.
        connection.execute("select pg_advisory_xact_lock(%s)", [_SCHEMA_LOCK])
        if not _has_schema(connection, schema.stored_schema):
            connection.execute(create_schema(schema.stored_schema))
    connection.execute(create_table(schema))


def _alter(connection: Connection, part: ConformedTable) -> None:
    statement = alter_table(part.schema, part.changes)
    if statement is None:
        return
    if any(change.kind in ALTERING for change in part.changes):
        connection.execute(temporary_functions())
    connection.execute(statement)


def _has_schema(connection: Connection, name: str) -> bool:
    row = connection.execute("select exists (select from pg_namespace where nspname = %s)", [name]).fetchone()
    return bool(row and row[0])
