"""Creates the metadata schema or brings it to the version that this program writes."""

from __future__ import annotations

from importlib.resources import files

from psycopg import sql

from warp_resources.connectors.postgresql.session import Connection, Session
from warp_resources.errors import OperatorError

METADATA = "cartridge_warp_metadata"
MIGRATIONS = ("metadata.sql", "metadata_2.sql", "metadata_3.sql", "metadata_4.sql", "metadata_5.sql", "metadata_6.sql")
"""The files that lead from version 0 to 1, from 1 to 2 and so on."""

_LOCK = 4_771_310_292_881


_IS_PREPARED = """
select exists (
    select from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
    join pg_attribute as a on a.attrelid = c.oid
    where n.nspname = 'cartridge_warp_metadata' and c.relname = 'metadata_version'
    and a.attname = 'version' and a.atttypid = 'integer'::regtype and not a.attisdropped
)
"""


def is_prepared(connection: Connection) -> bool:
    """Whether the metadata schema exists; its tables may be of any version."""
    # Not to_regclass, which may remember that the schema was not there before a lock was waited for.
    row = connection.execute(_IS_PREPARED).fetchone()
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


def check_metadata(connection: Connection) -> None:
    """Refuse what ``prepare`` would refuse, changing nothing."""
    if is_prepared(connection):
        _refuse_later(_version(connection))
    else:
        _refuse_foreign(connection)


def _migrate(connection: Connection) -> None:
    version = _version(connection) if is_prepared(connection) else _start(connection)
    _refuse_later(version)
    for number, name in enumerate(MIGRATIONS[version:], start=version + 1):
        script = files(__package__).joinpath(name).read_text(encoding="utf-8")
        connection.execute(script.encode())
        connection.execute("insert into cartridge_warp_metadata.metadata_version (version) values (%s)", [number])


def _start(connection: Connection) -> int:
    """Make the schema; one that an administrator made for us is taken if it is empty."""
    if not _refuse_foreign(connection):
        connection.execute(sql.SQL("create schema {}").format(sql.Identifier(METADATA)))
    return 0


def _refuse_foreign(connection: Connection) -> bool:
    """Whether the schema exists, empty; one with tables of others is refused."""
    row = connection.execute(
        "select n.oid, exists (select from pg_class c where c.relnamespace = n.oid) as is_taken"
        " from pg_namespace n where n.nspname = %s",
        [METADATA],
    ).fetchone()
    if row is not None and row.is_taken:
        raise OperatorError(
            f"The schema {METADATA} holds tables that cartridge-warp did not make",
            remedy="Rename or drop that schema, or use another database",
            schema=METADATA,
        )
    return row is not None


def _refuse_later(version: int) -> None:
    if version > len(MIGRATIONS):
        raise OperatorError(
            f"The schema {METADATA} was written by a later version of cartridge-warp",
            remedy="Upgrade this installation",
            found=version,
            known=len(MIGRATIONS),
        )


def _version(connection: Connection) -> int:
    row = connection.execute("select max(version) from cartridge_warp_metadata.metadata_version").fetchone()
    return int(row[0] or 0) if row else 0
