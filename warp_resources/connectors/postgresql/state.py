"""Leases and mandates in PostgreSQL, on a connection of their own."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

from warp_resources.connectors.postgresql import leases as table
from warp_resources.connectors.postgresql.frozen import FrozenSessions
from warp_resources.connectors.postgresql.migrations import is_prepared, prepare
from warp_resources.connectors.postgresql.options import PostgresOptions
from warp_resources.connectors.postgresql.session import Connection, Session
from warp_resources.errors import LeaseHeld, OperatorError
from warp_resources.model.positions import Holder, Lease


class PostgresStateStore:
    """The ``StateStore`` of a PostgreSQL database; its calls may come from several threads."""

    Options = PostgresOptions

    def __init__(self, options: PostgresOptions) -> None:
        self._session = Session(options)
        self._guard = threading.Lock()
        self._is_prepared = self._is_current = False
        self._frozen = FrozenSessions()

    def take_lease(self, name: str, holder: Holder, ttl: timedelta) -> Lease:
        self._bring_up_to_date()
        with self._connected() as connection:
            return table.take_lease(connection, name, holder, ttl)

    def renew_leases(self, leases: Sequence[Lease], ttl: timedelta) -> list[Lease]:
        with self._connected() as connection:
            return table.renew_leases(connection, leases, ttl)

    def release_lease(self, lease: Lease) -> None:
        with self._connected() as connection:
            table.release_lease(connection, lease)

    def lease_holder(self, name: str) -> Holder | None:
        with self._connected() as connection:
            return table.lease_holder(connection, name)

    def note(self, lease: Lease, text: str) -> None:
        with self._connected() as connection:
            table.note(connection, lease, text)

    def noted(self, name: str) -> str | None:
        with self._connected() as connection:
            return table.noted(connection, name)

    def end_frozen(self) -> None:
        with self._connected() as connection:
            self._frozen.end(connection)

    def set_mandate(self, schema: str, ttl: timedelta) -> None:
        with self._connected() as connection:
            table.set_mandate(connection, schema, ttl)

    def has_mandate(self, schema: str) -> bool:
        with self._connected() as connection:
            return table.has_mandate(connection, schema)

    def close(self) -> None:
        with self._guard:
            self._session.close()

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        """The connection, for one thread at a time; every statement is a transaction."""
        with self._guard:
            if not self._is_prepared:
                self._prepare()
            try:
                with self._session.connected() as connection:
                    yield connection
            except LeaseHeld:
                raise
            except OperatorError:
                # The database may have been made anew, without what was prepared once.
                self._is_prepared = self._is_current = False
                raise

    def _bring_up_to_date(self) -> None:
        """A store that is not the destination may be of an earlier version; who only asks leaves it as it is."""
        with self._guard:
            if not self._is_current:
                prepare(self._session)
                self._is_prepared = self._is_current = True

    def _prepare(self) -> None:
        """A store that is not the destination makes the metadata schema itself."""
        with self._session.connected() as connection:
            self._is_prepared = is_prepared(connection)
        if not self._is_prepared:
            prepare(self._session)
            self._is_prepared = True
