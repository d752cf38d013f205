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
    rename_columns,
    rename_flag,
)
from warp_resources.connectors.postgresql.large import refuse_long_lock
from warp_resources.connectors.postgresql.letters import add_errors
from warp_resources.connectors.postgresql.patience import altering
from warp_resources.connectors.postgresql.registry import is_stored, register
from warp_resources.connectors.postgresql.rewrites import begin_filling
from warp_resources.connectors.postgresql.session import Connection
from warp_resources.errors import TableFailure
from warp_resources.evolution.losses import stored_negative_zeros
from warp_resources.model.batches import ConformedTable, ErrorEntry
from warp_resources.model.tables import ChangeKind, Kind, TableSchema

_MOST_KEYS = 20
_SCHEMA_LOCK = 4_771_310_292_882


def apply_changes(connection: Connection, part: ConformedTable, run_id: str) -> None:
    """Create or alter the table and record the version; does nothing without changes.

    Raises:
        TableFailure: a table of that name exists that the registry does not know.
    """
    if not part.changes:
        return
    with altering(connection):
        if any(change.kind is ChangeKind.CREATE_TABLE for change in part.changes):
            _create(connection, part.schema)
        else:
            _alter(connection, part, run_id)
        register(connection, part, run_id)


def _create(connection: Connection, schema: TableSchema) -> None:
    if is_stored(connection, schema):
        raise TableFailure(
            "The destination has a table of this name that cartridge-warp did not make",
            remedy="Rename or drop it, or set another destination.schema",
            table=schema.table,
            stored=f"{schema.stored_schema}.{schema.stored_table}",
        )
    make_schema(connection, schema.stored_schema)
    connection.execute(create_table(schema))


def make_schema(connection: Connection, name: str) -> None:
    """Make a destination schema where it is missing."""
    if _has_schema(connection, name):
        return
    # Not `if not exists`: that asks for CREATE on the database even where the schema is there.
    connection.execute("select pg_advisory_xact_lock(%s)", [_SCHEMA_LOCK])
    if not _has_schema(connection, name):
        connection.execute(create_schema(name))


def _alter(connection: Connection, part: ConformedTable, run_id: str) -> None:
    for step in rename_columns(part.schema, part.changes):
        connection.execute(step)
    refuse_long_lock(connection, part)
    renaming = rename_flag(part.schema, part.changes)
    if renaming is not None:
        connection.execute(renaming)
    statement = alter_table(part.schema, part.changes)
    if statement is None:
        return
    if any(change.kind in ALTERING for change in part.changes):
        connection.execute(temporary_functions())
    add_errors(connection, list(_lost_signs(connection, part)), run_id)
    connection.execute(statement)
    if any(change.kind is ChangeKind.BEGIN_REWRITE for change in part.changes):
        begin_filling(connection, part.schema)


def _lost_signs(connection: Connection, part: ConformedTable) -> Iterator[ErrorEntry]:
    """The negative zeros that the table has now and numeric has not (SPEC 5, canonical text)."""
    before = {change.before.name: change.before for change in part.changes if change.before and change.kind in ALTERING}
    basis = part.schema.with_columns(tuple(before.get(column.name, column) for column in part.schema.columns))
    for change in part.changes:
        if change.before is None or change.after is None or change.kind is not ChangeKind.ALTER_TYPE:
            continue
        if change.before.type.kind in FLOATS and change.after.type.kind in (Kind.NUMERIC, Kind.JSON):
            [row] = connection.execute(negative_zeros(basis, change.before, _MOST_KEYS)).fetchall()
            if row.found_count:
                yield stored_negative_zeros(part.schema.table, change.after.name, row.found_count, row.keys)


def _has_schema(connection: Connection, name: str) -> bool:
    row = connection.execute("select exists (select from pg_namespace where nspname = %s)", [name]).fetchone()
    return bool(row and row[0])
