"""The servers of a soak: three MongoDB nodes and PostgreSQL, each behind a proxy of its own."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
import psycopg
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from tests.faults.proxy import Proxy
from warp_resources.connectors.mongodb.embedded import EmbeddedMongod, Member
from warp_resources.connectors.postgresql.embedded import EmbeddedPostgres

_ELECTION_MILLISECONDS = 2000


class ProxiedMongod(EmbeddedMongod):
    """A replica set whose members know each other, and are known, by their proxies only."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, member_count=3)
        self.proxies: list[Proxy] = []

    @property
    def uri(self) -> str:
        hosts = ",".join(f"127.0.0.1:{proxy.port}" for proxy in self.proxies)
        return f"mongodb://{hosts}/?replicaSet=rs0"

    def _initiate(self) -> None:
        for member in self.members:
            self.proxies.append(Proxy(member.port).__enter__())
        nodes = [{"_id": number, "host": f"127.0.0.1:{proxy.port}"} for number, proxy in enumerate(self.proxies)]
        settings = {"electionTimeoutMillis": _ELECTION_MILLISECONDS}
        with direct(self.members[0]) as client:
            client.admin.command("replSetInitiate", {"_id": "rs0", "settings": settings, "members": nodes})

    def stop(self) -> None:
        super().stop()
        for proxy in self.proxies:
            proxy.__exit__(None, None, None)
        self.proxies.clear()

    def primary(self) -> int:
        """The number of the primary; 0 where none says that it is."""
        for number, member in enumerate(self.members):
            with contextlib.suppress(PyMongoError), direct(member) as client:
                if client.admin.command("hello")["isWritablePrimary"]:
                    return number
        return 0


def direct(member: Member) -> MongoClient[dict[str, Any]]:
    """A client of one node, past its proxy."""
    return MongoClient(
        f"mongodb://127.0.0.1:{member.port}/?directConnection=true",
        serverSelectionTimeoutMS=1000,
        socketTimeoutMS=2000,
    )


class Servers:
    """All servers of a soak in a folder that stays; a context manager."""

    def __init__(self, folder: Path) -> None:
        self.mongod = ProxiedMongod(folder / "mongo")
        self.postgres = EmbeddedPostgres(folder / "postgres", settings={"fsync": "off", "shared_buffers": "128MB"})
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self.mongod)
            stack.enter_context(self.postgres)
            self.postgres_proxy = stack.enter_context(Proxy(self.postgres_port))
            self.client: MongoClient[dict[str, Any]] = stack.enter_context(
                MongoClient(
                    self.mongod.uri,
                    tz_aware=True,
                    datetime_conversion="DATETIME_AUTO",
                    socketTimeoutMS=20_000,
                    w="majority",
                )
            )
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.heal()
        self._stack.close()

    @property
    def postgres_port(self) -> int:
        return int(psycopg.conninfo.conninfo_to_dict(self.warehouse)["port"])  # type: ignore[arg-type]

    @property
    def warehouse(self) -> str:
        """PostgreSQL itself, for those who judge."""
        return f"{self.postgres.uri()}?connect_timeout=5"

    @property
    def proxied_warehouse(self) -> str:
        """PostgreSQL as the product sees it."""
        return f"postgresql://postgres@127.0.0.1:{self.postgres_proxy.port}/warehouse"

    def postgres_processes(self) -> list[psutil.Process]:
        """The postmaster and all that it has started."""
        if self.postgres.pid is None:
            return []
        with contextlib.suppress(psutil.NoSuchProcess):
            root = psutil.Process(self.postgres.pid)
            return [root, *root.children(recursive=True)]
        return []

    def backends(self) -> list[int]:
        """The server's processes that serve the product's connections."""
        with psycopg.connect(self.warehouse, autocommit=True) as connection:
            found = connection.execute(
                "select pid from pg_stat_activity where backend_type = 'client backend'"
                " and datname = current_database() and pid <> pg_backend_pid() order by pid"
            )
            return [row[0] for row in found.fetchall()]

    def heal(self) -> None:
        """Undo whatever was done to the servers and wait until they answer."""
        for proxy in (*self.mongod.proxies, self.postgres_proxy):
            proxy.heal()
        for pid in self._pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        for number, member in enumerate(self.mongod.members):
            if member.pid is None:
                self.mongod.start_member(number)
        if self.postgres.pid is None:
            self.postgres.restart()
        self.postgres_proxy.target = self.postgres_port

    def _pids(self) -> Iterator[int]:
        yield from (member.pid for member in self.mongod.members if member.pid is not None)
        yield from (process.pid for process in self.postgres_processes())
