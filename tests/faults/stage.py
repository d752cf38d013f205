"""One schema that the product replicates under faults, and the judgement that ends each of them."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from pymongo import MongoClient
from pymongo.database import Database

from tests.faults.machine import Machine
from tests.pairs.oracle import differences
from tests.pairs.process import Command, eventually, stop
from warp_resources.config import WarpConfig
from warp_resources.pipeline.engine import STREAM, Unit
from warp_resources.pipeline.options import open_destination, open_source

RECOVERY_SECONDS = 60.0
_ERRORS = "select distinct error_type from cartridge_warp_metadata.error_log where schema_name = %s"
_LETTERS = "select count(*) from cartridge_warp_metadata.dead_letters where schema_name = %s and status = 'pending'"


@dataclass
class Stage:
    """A source database, a warehouse and the command between them.

    ``uri`` and ``warehouse`` are the real servers, for the load and the judgement; the command may be given others,
    that lead through a proxy. ``injected`` is what was done to them.
    """

    command: Command
    client: MongoClient[dict[str, Any]]
    warehouse: str
    injected: list[str] = field(default_factory=list)

    @property
    def schema(self) -> str:
        return self.command.schema

    @property
    def database(self) -> Database[dict[str, Any]]:
        return self.client[self.schema]

    def machine(self, collection: str = "users", seed: int = 1, **options: Any) -> Machine:
        return Machine(self.database[collection], seed, **options)

    def inject(self, what: str) -> None:
        """Say what is being done, for whoever reads the output of the test."""
        self.injected.append(what)
        print(f"injected: {what}")

    @contextmanager
    def running(self, *arguments: str, failpoints: str | None = None) -> Iterator[subprocess.Popen[bytes]]:
        """``cartridge-warp run`` for the length of a block; it is killed at the end if it is still there."""
        process = self.start(*arguments, failpoints=failpoints)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()

    def start(self, *arguments: str, failpoints: str | None = None) -> subprocess.Popen[bytes]:
        if failpoints:
            self.inject(failpoints)
        return self.command.start(*(arguments or ("run",)), failpoints=failpoints)

    def dies(self, failpoints: str, *arguments: str, seconds: float = 60.0) -> None:
        """Run until a failpoint kills the process."""
        process = self.start(*(arguments or ("run", "--once")), failpoints=failpoints)
        try:
            assert process.wait(seconds) == -signal.SIGKILL, self.command.log[-3000:]
        finally:
            process.kill()
            process.wait()

    def differences(self, *tables: str) -> list[str]:
        """What differs between the source and the warehouse in these tables, or in all collections."""
        names = tables or sorted(self.database.list_collection_names())
        return [
            f"{name}: {one}" for name in names for one in differences(self.database, self.warehouse, self.schema, name)
        ]

    def arrives(self, *tables: str, seconds: float = RECOVERY_SECONDS) -> float:
        """Wait until everything is equal; how long that took, in seconds."""
        began = time.monotonic()
        self.eventually(lambda: self.differences(*tables), seconds)
        return time.monotonic() - began

    def judge(
        self,
        process: subprocess.Popen[bytes] | None = None,
        *,
        errors: Collection[str] = (),
        letters: int = 0,
        seconds: float = RECOVERY_SECONDS,
    ) -> None:
        """Every row equals its document by value and type, none is there twice, and the marker is at the source's end.

        Args:
            process: the run that is to recover by itself, which is then stopped; None means that there is none, and
                one pass is to bring everything.
            errors: the kinds of entries that ``error_log`` is to have, no more and no less.
            letters: how many dead letters wait.
            seconds: how long the recovery may take.
        """
        if process is not None:
            took = self.arrives(seconds=seconds)
            print(f"recovered: {took:.1f} s after {self.injected}")
            assert stop(process) == 0, self.command.log[-3000:]
        end = self._log_end()
        self.command.once()
        assert self.differences() == []
        assert self._is_reached(end), "the marker is not at the source's end"
        assert set(self.query(_ERRORS)) == set(errors), self.command.log[-3000:]
        assert self.query(_LETTERS) == [letters]

    def settles(self, *, errors: Collection[str] = (), letters: int = 0, seconds: float = RECOVERY_SECONDS) -> None:
        """The same judgement while somebody goes on streaming: nothing is stopped, and no pass of its own is made."""
        took = self.arrives(seconds=seconds)
        print(f"recovered: {took:.1f} s after {self.injected}")
        end = self._log_end()
        self.eventually(lambda: self._is_reached(end), seconds)
        assert set(self.query(_ERRORS)) == set(errors)
        assert self.query(_LETTERS) == [letters]

    def query(self, statement: str, *parameters: object) -> list[Any]:
        """The first column of a query of the warehouse; the schema's name is its parameter where none is given."""
        with psycopg.connect(self.warehouse, autocommit=True) as connection:
            return [row[0] for row in connection.execute(statement, parameters or (self.schema,)).fetchall()]

    def eventually(self, condition: Callable[[], object], seconds: float = RECOVERY_SECONDS) -> None:
        """Wait until a condition holds, or fail with what it gave and the log."""
        try:
            eventually(condition, seconds)
        except AssertionError:
            print(self.command.log[-5000:])
            raise

    @property
    def config(self) -> WarpConfig:
        return WarpConfig.from_file(self.command.path)

    def _log_end(self) -> dict[str, Any]:
        with closing(open_source(self.config)) as source:
            return dict(source.log_end(Unit(self.config, self.schema, STREAM).scope))

    def _is_reached(self, end: dict[str, Any]) -> bool:
        with closing(open_source(self.config)) as source, closing(open_destination(self.config)) as destination:
            state = destination.stream_state(self.schema)
            return state is not None and source.is_reached(state.position, end)


def staged(
    folder: Path, client: MongoClient[dict[str, Any]], uri: str, warehouse: str, database: str, **options: Any
) -> Stage:
    """A stage whose command reads and writes the servers themselves; ``options`` as ``Command`` takes them."""
    return Stage(Command(folder, uri, warehouse, database, **options), client, warehouse)
