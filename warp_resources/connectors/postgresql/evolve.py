"""Applies the schema changes of a commit, inside its transaction."""

from __future__ import annotations

from collections.abc import Iterator

from warp_resources.arrow.lattice import FLOATS
from warp_resources.connectors.postgresql.conversions import temporary_functions
from warp_resources.connectors.postgresql.ddl import (
    ALTERING,
    alter_table,
    create_schema,
    create_table,
    negative_zeros,
)
from warp_resources.connectors.postgresql.letters import add_errors
from warp_resources.connectors.postgresql.registry import is_stored, register
from warp_resources.connectors.postgresql.session import Connection
from warp_resources.errors import OperatorError
from warp_resources.evolution.losses import stored_negative_zeros
from warp_resources.model.batches import ConformedTable, ErrorEntry
from warp_resources.model.tables import ChangeKind, Kind, TableSchema

_LOCK_TIMEOUT = "5s"
_MOST_KEYS = 20
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
        _alter(connection, part, run_id)
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


def _alter(connection: Connection, part: ConformedTable, run_id: str) -> None:
    statement = alter_table(part.schema, part.changes)
    if statement is None:
        return
    if any(change.kind in ALTERING for change in part.changes):
        connection.execute(temporary_functions())
    add_errors(connection, list(_lost_signs(connection, part)), run_id)
    connection.execute(statement)


def _lost_signs(connection: Connection, part: ConformedTable) -> Iterator[ErrorEntry]:
    """The negative zeros that the table has now and numeric has not (SPEC 5, canonical text)."""
    before = {change.before.name: change.before for change in part.changes if change.before is not None}
    basis = part.schema.with_columns(tuple(before.get(column.name, column) for column in part.schema.columns))
    for change in part.changes:
        if change.before is None or change.after is None or change.kind is not ChangeKind.ALTER_TYPE:
            continue
        if change.before.type.kind in FLOATS and change.after.type.kind is Kind.NUMERIC:
            [row] = connection.execute(negative_zeros(basis, change.before, _MOST_KEYS)).fetchall()
            if row.found_count:
                yield stored_negative_zeros(part.schema.table, change.after.name, row.found_count, row.keys)


def _has_schema(connection: Connection, name: str) -> bool:
    row = connection.execute("select exists (select from pg_namespace where nspname = %s)", [name]).fetchone()
    return bool(row and row[0])
