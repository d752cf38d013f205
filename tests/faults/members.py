"""What is done to the members of a replica set, one at a time."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pymongo import MongoClient
from pymongo.errors import AutoReconnect, PyMongoError

from warp_resources.connectors.mongodb.embedded import EmbeddedMongod

_PATIENCE_SECONDS = 60.0
QUICK: dict[str, Any] = {"heartbeatFrequencyMS": 500, "connectTimeoutMS": 1500}
"""For a client that is to find out soon whom it has lost."""


@dataclass
class Members:
    """The members of a replica set, by number, and a client that follows their primary."""

    server: EmbeddedMongod
    client: MongoClient[dict[str, Any]]

    @property
    def primary(self) -> int:
        """The member that takes writes now."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(PyMongoError):
                hello = self.client.admin.command("hello")
                if hello["isWritablePrimary"]:
                    port = int(hello["me"].rpartition(":")[2])
                    return [its.port for its in self.server.members].index(port)
        raise AssertionError("no member became primary")

    def wait_for_another(self, than: int) -> float:
        """Wait until another member than this one is the primary; how long that took."""
        began = time.monotonic()
        while self.primary == than:
            assert time.monotonic() < began + _PATIENCE_SECONDS, "no other member became primary"
            time.sleep(0.05)
        return time.monotonic() - began

    def surely(self, write: Callable[[], object]) -> None:
        """Write what may be written twice, until a primary takes it."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                write()
                return
            except PyMongoError:
                assert time.monotonic() < deadline, "no primary takes a write"
                time.sleep(0.1)

    def step_down(self) -> None:
        # The server may hang up on the one who asks.
        with contextlib.suppress(AutoReconnect):
            self.client.admin.command("replSetStepDown", 5, secondaryCatchUpPeriodSecs=4)

    def freeze(self, number: int) -> None:
        self._signal(number, signal.SIGSTOP)

    def thaw(self, number: int) -> None:
        self._signal(number, signal.SIGCONT)

    @contextmanager
    def failing(self, failpoint: str, *numbers: int) -> Iterator[None]:
        """One of the server's own failpoints, always on for the length of a block."""
        self._set(failpoint, "alwaysOn", numbers)
        try:
            yield
        finally:
            self._set(failpoint, "off", numbers)

    @contextmanager
    def unelectable(self, *numbers: int) -> Iterator[None]:
        """Members that do not stand for election, for the length of a block."""
        for seconds in (120, 0):
            for number in numbers:
                with self.direct(number) as client:
                    client.admin.command("replSetFreeze", seconds)
            if seconds:
                yield

    @contextmanager
    def direct(self, number: int) -> Iterator[MongoClient[dict[str, Any]]]:
        """A client of one member alone, whose writes need no other."""
        port = self.server.members[number].port
        with MongoClient[dict[str, Any]](f"mongodb://127.0.0.1:{port}/?directConnection=true&w=1") as client:
            yield client

    @contextmanager
    def hidden(self, number: int) -> Iterator[None]:
        """A member that no client sees and that votes and acknowledges all the same, for the length of a block."""
        self._reconfigure(lambda current: current["members"][number].update(hidden=True, priority=0))
        try:
            yield
        finally:
            self._reconfigure(lambda current: current["members"][number].update(hidden=False, priority=1))

    def heal(self) -> None:
        """Bring back whoever is frozen or dead, and wait until all are one set again."""
        for number, its in enumerate(self.server.members):
            if its.pid is None:
                self.server.start_member(number)
            self.thaw(number)
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not self._is_whole():
            assert time.monotonic() < deadline, "the replica set does not heal"
            time.sleep(0.05)

    def _is_whole(self) -> bool:
        try:
            found = self.client.admin.command("replSetGetStatus")["members"]
        except PyMongoError:
            return False
        return sorted(its["stateStr"] for its in found) == ["PRIMARY", "SECONDARY", "SECONDARY"]

    def hasten(self) -> None:
        """Let the members find out soon that one of them is silent."""
        self._reconfigure(lambda current: current["settings"].update(heartbeatTimeoutSecs=3, catchUpTimeoutMillis=1000))

    def _reconfigure(self, change: Callable[[dict[str, Any]], None]) -> None:
        current = self.client.admin.command("replSetGetConfig")["config"]
        change(current)
        current["version"] += 1
        self.client.admin.command("replSetReconfig", current)

    def _set(self, failpoint: str, mode: str, numbers: tuple[int, ...]) -> None:
        for number in numbers:
            with self.direct(number) as client:
                client.admin.command("configureFailPoint", failpoint, mode=mode)

    def _signal(self, number: int, signal_number: int) -> None:
        pid = self.server.members[number].pid
        assert pid is not None
        os.kill(pid, signal_number)
