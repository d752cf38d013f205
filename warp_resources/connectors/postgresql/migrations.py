"""Creates the metadata schema or brings it to the version that this program writes."""

from __future__ import annotations

from importlib.resources import files

from psycopg import sql

from warp_resources.connectors.postgresql.session import Connection, Session
from warp_resources.errors import OperatorError

METADATA = "cartridge_warp_metadata"
MIGRATIONS = ("metadata.sql",)
"""The files that lead from version 0 to 1, from 1 to 2 and so on."""

_LOCK = 4_771_310_292_881


def is_prepared(connection: Connection) -> bool:
    """Whether the metadata schema exists; its tables may be of any version."""
    row = connection.execute("select to_regclass('cartridge_warp_metadata.metadata_version') is not null").fetchone()
    return bool(row and row[0])


def prepare(session: Session) -> None:
    """Apply the migrations that are missing, in one transaction that waits for parallel starts.

    Raises:
        OperatorError: the schema is of a later version, or holds tables that are not ours.
    """
    with session.connected() as connection:
        if is_prepared(connection) and _version(connection) == len(MIGRATIONS):
            return
    with session.transaction() as connection:
        connection.execute("select pg_advisory_xact_lock(%s)", [_LOCK])
        _migrate(connection)


def _migrate(connection: Connection) -> None:
    version = _version(connection) if is_prepared(connection) else _start(connection)
    if version > len(MIGRATIONS):
        raise OperatorError(
            f"The schema {METADATA} was written by a later version of cartridge-warp",
            remedy="Upgrade this installation",
            found=version,
            known=len(MIGRATIONS),
        )
    for number, name in enumerate(MIGRATIONS[version:], start=version + 1):
        script = files(__package__).joinpath(name).read_text(encoding="utf-8")
        connection.execute(script.encode())
        connection.execute("insert into cartridge_warp_metadata.metadata_version (version) values (%s)", [number])


def _start(connection: Connection) -> int:
    """Make the schema; one that an administrator made for us is taken if it is empty."""
    row = connection.execute(
        "select n.oid, exists (select from pg_class c where c.relnamespace = n.oid) as is_taken"
        " from pg_namespace n where n.nspname = %s",
        [METADATA],
    ).fetchone()
    if row is None:
        connection.execute(sql.SQL("create schema {}").format(sql.Identifier(METADATA)))
    elif row.is_taken:
        raise OperatorError(
            f"The schema {METADATA} holds tables that cartridge-warp did not make",
            remedy="Rename or drop that schema, or use another database",
            schema=METADATA,
        )
    return 0


def _version(connection: Connection) -> int:
    row = connection.execute("select max(version) from cartridge_warp_metadata.metadata_version").fetchone()
    return int(row[0] or 0) if row else 0
