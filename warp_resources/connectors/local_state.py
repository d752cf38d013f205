"""Leases and mandates in a file of this host, for destinations that have no cheap small writes."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

from warp_resources.connectors.holders import described, is_dead
from warp_resources.errors import LeaseHeld, OperatorError, TransientError, WarpError
from warp_resources.model.positions import Holder, Lease

_BUSY_SECONDS = 2.0
"""How long to wait for another process: less than a lease lasts."""
_MIGRATIONS = (
    (
        "create table leases (name text primary key, token text not null, host text not null, pid integer not null,"
        " started real not null, label text not null, renewed_at real not null, expires_at real not null)",
        "create table mandates (schema_name text primary key, given_at real not null, expires_at real not null)",
    ),
    ("alter table leases add column note text",),
)
"""The statements that lead from format 0 to 1, from 1 to 2 and so on."""
_FORMAT = len(_MIGRATIONS)
# Of a clock that begins anew with the host, what was noted later than now is from before.
_HOLDER = "select host, pid, started, label from leases where name = ? and renewed_at <= ?2 and expires_at > ?2"
_TAKE = (
    "insert or replace into leases (name, token, host, pid, started, label, renewed_at, expires_at)"
    " values (?, ?, ?, ?, ?, ?, ?, ?)"
)
_RENEW = (
    "update leases set renewed_at = ?1, expires_at = ?2"
    " where name = ?3 and token = ?4 and renewed_at <= ?1 and expires_at > ?1"
)
_NOTE = "update leases set note = ? where name = ? and token = ?"
_NOTED = "select note from leases where name = ? and renewed_at <= ?2 and expires_at > ?2"
_RELEASE = "delete from leases where name = ? and token = ?"
_SET_MANDATE = "insert or replace into mandates values (?, ?, ?)"
_HAS_MANDATE = "select 1 from mandates where schema_name = ? and given_at <= ?2 and expires_at > ?2"


def default_state_file(name: str) -> Path:
    """Where the state of a destination of this name is kept unless the user says otherwise.

    Source: https://specifications.freedesktop.org/basedir-spec/latest/
    """
    base = os.environ.get("XDG_STATE_HOME", "")
    folder = Path(base) if os.path.isabs(base) else Path.home() / ".local" / "state"
    safe = "".join(character if character.isalnum() or character in "-_." else "_" for character in name)
    return folder / "cartridge-warp" / f"{safe}.sqlite"


class LocalStateStore:
    """The ``StateStore`` of the processes of one host; its calls may come from several threads.

    Its clock is that of the host since its start, which nobody sets.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path).expanduser()
        self._guard = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None

    def take_lease(self, name: str, holder: Holder, ttl: timedelta) -> Lease:
        with self._writing() as connection:
            now = time.monotonic()
            found = connection.execute(_HOLDER, (name, now)).fetchone()
            current = None if found is None else Holder(*found)
            if current is not None and not is_dead(current, holder.host):
                raise LeaseHeld(
                    f"Another process holds the lease {name!r}",
                    remedy="Stop it, or let it do the work",
                    holder=described(current),
                    lease=name,
                )
            token = uuid.uuid4().hex
            who = (holder.host, holder.pid, holder.started, holder.label)
            connection.execute(_TAKE, (name, token, *who, now, now + ttl.total_seconds()))
            return Lease(name, token)

    def renew_leases(self, leases: Sequence[Lease], ttl: timedelta) -> list[Lease]:
        with self._writing() as connection:
            now = time.monotonic()
            until = now + ttl.total_seconds()
            return [its for its in leases if connection.execute(_RENEW, (now, until, its.name, its.token)).rowcount]

    def release_lease(self, lease: Lease) -> None:
        with self._writing() as connection:
            connection.execute(_RELEASE, (lease.name, lease.token))

    def lease_holder(self, name: str) -> Holder | None:
        with self._connected() as connection:
            found = connection.execute(_HOLDER, (name, time.monotonic())).fetchone()
            return None if found is None else Holder(*found)

    def note(self, lease: Lease, text: str) -> None:
        with self._writing() as connection:
            connection.execute(_NOTE, (text, lease.name, lease.token))

    def noted(self, name: str) -> str | None:
        with self._connected() as connection:
            found = connection.execute(_NOTED, (name, time.monotonic())).fetchone()
            return None if found is None else found[0]

    def end_frozen(self) -> None:
        """A process that is frozen holds no lock of the file: no call here waits for anything while it has one."""

    def set_mandate(self, schema: str, ttl: timedelta) -> None:
        with self._writing() as connection:
            now = time.monotonic()
            connection.execute(_SET_MANDATE, (schema, now, now + ttl.total_seconds()))

    def has_mandate(self, schema: str) -> bool:
        with self._connected() as connection:
            return connection.execute(_HAS_MANDATE, (schema, time.monotonic())).fetchone() is not None

    def close(self) -> None:
        with self._guard:
            self._disconnect()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that nobody else writes beside."""
        with self._connected() as connection:
            connection.execute("begin immediate")
            try:
                yield connection
            except BaseException:
                if connection.in_transaction:
                    connection.execute("rollback")
                raise
            connection.execute("commit")

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """The connection, for one thread at a time."""
        with self._guard:
            try:
                yield self._open()
            except WarpError:
                raise
            except (sqlite3.Error, OSError) as error:
                self._disconnect()
                raise self._translated(error) from error

    def _open(self) -> sqlite3.Connection:
        # Who removes the file means to begin anew: a connection to what it was would be alone with it.
        if self._connection is not None and self._file == _identity(self._path):
            return self._connection
        self._disconnect()
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Only if it is not there: closing any descriptor of a file ends all locks that this process has on it.
        with suppress(FileExistsError):
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        self._connection = sqlite3.connect(
            self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        self._prepare(self._connection)
        self._file = _identity(self._path)
        return self._connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        if _format(connection) < _FORMAT:
            connection.execute("begin immediate")
            # Another process may have been first.
            for statement in (one for migration in _MIGRATIONS[_format(connection) :] for one in migration):
                connection.execute(statement)
            connection.execute(f"pragma user_version = {max(_FORMAT, _format(connection))}")
            connection.execute("commit")
        found = _format(connection)
        if found != _FORMAT:
            raise OperatorError(
                f"The file of leases and mandates is of format {found}, which this version does not know",
                remedy="Run the version that made it, or name another file",
                file=self._path,
            )

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _translated(self, error: sqlite3.Error | OSError) -> WarpError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return TransientError("Another process keeps the file of leases and mandates busy", file=self._path)
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR):
            return OperatorError(
                f"The file of leases and mandates cannot be read: {error}",
                remedy="Stop what runs on it and remove it: it holds nothing that lasts",
                file=self._path,
            )
        return OperatorError(
            f"The file of leases and mandates cannot be used: {error}",
            remedy="Make its folder writable and give it room, name another file, or set state.connection_string",
            file=self._path,
        )


def _format(connection: sqlite3.Connection) -> int:
    return int(connection.execute("pragma user_version").fetchone()[0])


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
