"""Tells the errors that concern one table from those that concern the whole server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from warp_resources.connectors.postgresql.errors import Endpoint, missing_grant
from warp_resources.connectors.postgresql.session import Connection
from warp_resources.errors import TableFailure, TableSlow
from warp_resources.model.positions import Commit, ReplayCommit, StreamCommit
from warp_resources.model.tables import TableId

_LOCK_TIMEOUT, _NO_GRANT, _NO_TABLE, _TIMEOUT = "55P03", "42501", "42P01", "57014"
_OF_EVERYTHING = re.compile("for (database|schema cartridge_warp_metadata|tablespace)|temporary tables")
_REMEDIES = {
    "2BP01": "Drop the object that depends on the table's column, or change it so that the column may be altered",
    "0A000": "Drop the rule of the table, or the view that depends on its column, that stands in the way",
    "42701": "Rename or drop the column that was added by hand",
    "42703": "Restore the column as schema_registry has it",
    "54011": "Leave columns out: columns.<name>.action: drop, or contract.new_columns: discard",
    "P0001": "Correct or drop the trigger that raises it",
    _TIMEOUT: "Look for a trigger or an index of your own that takes long; the table goes on in small portions",
    _LOCK_TIMEOUT: "End the session that holds a lock on the table; it is tried again by itself",
}
# Constraints and values, programs of the user's own, what is missing, not allowed, or not possible with a table.
_CLASSES = {"0A", "22", "23", "2B", "2F", "38", "39", "42", "44", "54", "P0"}


def made_anew(table: TableId) -> str:
    """How a table that was dropped in the destination comes back."""
    return f"Read it again, which makes it anew: cartridge-warp resync --table {table}"


@contextmanager
def concerning(connection: Connection, table: TableId, commit: Commit) -> Iterator[None]:
    """Within the block, what only this table stands in the way of is a ``TableFailure``.

    A lock that is not granted in time is one for a stream, which goes on without the table, and for a replay, which
    goes on with the next; whoever else is at this table alone waits and tries again.
    """
    try:
        yield
    except psycopg.Error as error:
        if not _is_tables_own(error, commit):
            raise
        raise _failure(connection, table, error) from error


def _failure(connection: Connection, table: TableId, error: psycopg.Error) -> TableFailure:
    code, server = error.sqlstate or "", connection.info
    endpoint = Endpoint(server.host, str(server.port), server.dbname, server.user)
    remedy = missing_grant(error, endpoint) if code == _NO_GRANT else _REMEDIES.get(code)
    if code == _NO_TABLE and not error.diag.context:
        remedy = made_anew(table)
    # Of a refused value the server's own words would quote it.
    words = type(error).__name__ if code[:2] in ("22", "23") else error.diag.message_primary or type(error).__name__
    kind = TableSlow if code == _TIMEOUT else TableFailure
    return kind(
        f"PostgreSQL refuses to write this table: {words}",
        remedy=remedy or "Correct it in the destination; the table is then tried again",
        table=table,
        sqlstate=code,
    )


def _is_tables_own(error: psycopg.Error, commit: Commit) -> bool:
    code = error.sqlstate
    if code == _LOCK_TIMEOUT:
        return isinstance(commit, StreamCommit | ReplayCommit) or getattr(commit, "holds_stream", False)
    if code == _TIMEOUT:
        # As of a lock: the others of the stream are not to wait for it any longer.
        return isinstance(commit, StreamCommit)
    if code == _NO_GRANT and _OF_EVERYTHING.search(error.diag.message_primary or ""):
        return False
    return code is not None and code[:2] in _CLASSES
