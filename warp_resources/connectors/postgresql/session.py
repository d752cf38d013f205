"""Holds one connection to PostgreSQL, made when first needed and again after it broke."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import psycopg
from psycopg import conninfo, sql
from psycopg.rows import namedtuple_row

from warp_resources.connectors.postgresql.errors import Endpoint, translate, translate_connecting
from warp_resources.connectors.postgresql.options import PostgresOptions
from warp_resources.connectors.postgresql.watched import IDLE_SECONDS, OWN_SESSION, Watch, WatchedConnection
from warp_resources.errors import OperatorError
from warp_resources.failpoints import failpoint

Connection: TypeAlias = psycopg.Connection[Any]
Statement: TypeAlias = str | sql.Composed

# Role and database defaults must not change what values read like or where names lead.
# Plans are made anew each time: one made while a table was empty would scan it when it is large.
_SETTINGS = {
    "timezone": "UTC",
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "standard_conforming_strings": "on",
    "search_path": "pg_catalog",
    "default_transaction_isolation": "read committed",
    "plan_cache_mode": "force_custom_plan",
    "random_page_cost": "1.1",
    "jit": "off",
    # A writer that was paused inside a transaction must not hold its locks for long.
    "idle_in_transaction_session_timeout": f"{IDLE_SECONDS}s",
    # A stream may have nothing to say for long.
    "idle_session_timeout": "0",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}
_TRANSACTION_GRACE_MILLISECONDS = 1_000
# The locks of a process that was killed within a long statement go a second later, not at its end. Servers on some
# systems cannot look for that, and refuse to be told to.
_NOTICE_THE_DEAD = """case when version() !~* 'windows|mingw|cygwin|visual c|msvc|aix|solaris' then
    set_config('client_connection_check_interval', '1s', false) end"""


class Session:
    """One connection that survives errors: a broken one is dropped, and the next call makes another.

    ``serial`` counts the connections made; what lives in a connection is gone when it changes.
    """

    def __init__(self, options: PostgresOptions) -> None:
        self._options = options
        self._connection: Connection | None = None
        self._endpoint: Endpoint | None = None
        self.serial = 0

    @property
    def endpoint(self) -> Endpoint:
        if self._endpoint is None:
            self._endpoint = _endpoint(self._options)
        return self._endpoint

    @contextmanager
    def connected(self) -> Iterator[Connection]:
        """The connection outside a transaction: each statement commits by itself."""
        try:
            yield self._open()
        except psycopg.Error as error:
            raise translate(error, self.endpoint) from error
        finally:
            self._drop_unless_idle()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """The connection inside a transaction that commits at the end, or not at all."""
        with self.connected() as connection:
            with connection.transaction():
                yield connection
                failpoint("transaction.ready")
            failpoint("transaction.done")

    def rows(self, statement: Statement, parameters: Sequence[object] | dict[str, object] = ()) -> list[Any]:
        """The rows of one query, with columns as attributes."""
        with self.connected() as connection:
            return connection.execute(statement, parameters or None).fetchall()

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _open(self) -> Connection:
        if self._connection is None or self._connection.closed:
            try:
                self._connection = connect(self._options, self.endpoint)
            except psycopg.Error as error:
                raise translate_connecting(error, self.endpoint) from error
            self.serial += 1
        return self._connection

    def _drop_unless_idle(self) -> None:
        connection = self._connection
        if connection is None:
            return
        if connection.closed or connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            self.close()


def connect(options: PostgresOptions, endpoint: Endpoint) -> Connection:
    """A new connection with the settings that every statement here relies on."""
    address = conninfo.make_conninfo(options.connection_string.get_secret_value(), **options.connection_parameters())
    connection = WatchedConnection.connect(address, autocommit=True, row_factory=namedtuple_row)
    try:
        if connection.info.parameter_status("server_encoding") != "UTF8":
            raise OperatorError(
                "The destination database is not encoded in UTF8",
                remedy="Create a database with: create database ... encoding 'UTF8' template template0",
                **endpoint.facts(),
            )
        [its] = connection.execute(_settings(options, connection.info.server_version)).fetchall()
        # Not the driver's process id: a pooler gives one of its own.
        connection.watch = Watch(address, its.pid, its.backend_start)
    except BaseException:
        connection.close()
        raise
    return connection


def _settings(options: PostgresOptions, version: int) -> sql.Composed:
    milliseconds = round(options.transaction_timeout * 1000)
    settings = {**_SETTINGS, "statement_timeout": f"{milliseconds}ms"}
    if version >= 170000:
        # Later than the other: that one ends a statement, this one the connection.
        settings["transaction_timeout"] = f"{milliseconds + _TRANSACTION_GRACE_MILLISECONDS}ms"
    calls = [
        sql.SQL("set_config({}, {}, false) as {}").format(sql.Literal(name), sql.Literal(value), sql.Identifier(name))
        for name, value in settings.items()
    ]
    return sql.SQL("select {}").format(sql.SQL(", ").join([*calls, sql.SQL(_NOTICE_THE_DEAD), sql.SQL(OWN_SESSION)]))


def _endpoint(options: PostgresOptions) -> Endpoint:
    parts = conninfo.conninfo_to_dict(options.connection_string.get_secret_value())
    user = str(parts.get("user") or "the connecting user")
    password = parts.get("password")
    return Endpoint(
        host=str(parts.get("host") or parts.get("hostaddr") or "localhost"),
        port=str(parts.get("port") or 5432),
        database=str(parts.get("dbname") or user),
        user=user,
        secret=str(password) if password else None,
    )
