"""Brings a table's columns back to the types of an earlier version, in one transaction."""

from __future__ import annotations

from dataclasses import replace

from psycopg import sql

from warp_resources.connectors.postgresql.conversions import temporary_functions
from warp_resources.connectors.postgresql.markers import STREAM, advance_table, lock_tables
from warp_resources.connectors.postgresql.merge import table_identifier
from warp_resources.connectors.postgresql.narrowing import alter_types, count_refused, parsers
from warp_resources.connectors.postgresql.registry import add_version, schema_versions
from warp_resources.connectors.postgresql.session import Connection
from warp_resources.errors import OperatorError
from warp_resources.evolution.history import rolled_back, version_of, way_back
from warp_resources.model.tables import TableId, TableSchema
from warp_resources.model.versions import Rollback

_LOCK_TIMEOUT = "5s"


def plan_rollback(connection: Connection, table: TableId, version: int) -> Rollback:
    """What would go back, and which values are in the way; changes nothing.

    Raises:
        ConfigurationError: there is no such version.
        OperatorError: a column is being rewritten.
    """
    versions = schema_versions(connection, table)
    target = version_of(versions, version).schema
    _refuse_unfinished(versions[-1].schema)
    return _examined(connection, way_back(versions[-1].schema, target))


def roll_back(connection: Connection, table: TableId, version: int, run_id: str) -> Rollback:
    """Do it, inside a transaction, with the table locked: nobody writes between the count and the change.

    Raises:
        ConfigurationError: there is no such version.
    """
    # The row first, then the table, as every commit does.
    row = lock_tables(connection, [table], STREAM)[table]
    versions = schema_versions(connection, table)
    target = version_of(versions, version).schema
    rollback = way_back(versions[-1].schema, target)
    _refuse_unfinished(rollback.present)
    if not rollback.steps:
        return rollback
    _hold(connection, rollback.present)
    rollback = _examined(connection, rollback)
    if not rollback.possible:
        return rollback
    connection.execute(rollback.statement.encode())
    schema, changes = rolled_back(rollback)
    add_version(connection, schema, changes, run_id)
    advance_table(
        connection,
        table,
        row,
        mode=row.state.mode,
        version=schema.version,
        stream_sequence=row.stream_sequence,
    )
    return replace(rollback, version=schema.version)


def _refuse_unfinished(schema: TableSchema) -> None:
    if schema.rewritten:
        raise OperatorError(
            "Columns of the table are being rewritten",
            remedy="Let it come to its end: cartridge-warp status shows how far it is",
            table=schema.table,
            columns=", ".join(column.name for column in schema.rewritten),
        )


def _hold(connection: Connection, schema: TableSchema) -> None:
    connection.execute(f"set local lock_timeout = '{_LOCK_TIMEOUT}'")
    connection.execute(sql.SQL("lock table {} in access exclusive mode").format(table_identifier(schema)))
    connection.execute("set local lock_timeout = 0")


def _examined(connection: Connection, rollback: Rollback) -> Rollback:
    """The rollback with the values in the way counted, and the statement for the columns that have none."""
    if not rollback.steps:
        return rollback
    connection.execute(temporary_functions())
    connection.execute(parsers(rollback.steps))
    counts = connection.execute(count_refused(rollback.present, rollback.steps)).fetchall()[0]
    steps = tuple(replace(step, refused=count) for step, count in zip(rollback.steps, counts, strict=True))
    possible = [step for step in steps if step.is_possible]
    statement = alter_types(rollback.present, possible).as_string(connection) if possible else ""
    return replace(rollback, steps=steps, statement=statement)
