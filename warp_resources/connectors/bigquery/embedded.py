"""Runs a private BigQuery emulator, whose projects come into being when they are first named."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from warp_resources.connectors.bigquery.environment import LAUNCHER, Environment, environment
from warp_resources.connectors.ports import free_port
from warp_resources.errors import OperatorError

_HOST, _PROJECT = "127.0.0.1", "warehouse"
_START_SECONDS, _STOP_SECONDS = 60.0, 20.0
_LOG = "bigquery.log"
_PORT_TAKEN = ("address already in use", "Failed to bind to address")


class EmbeddedBigQuery:
    """An emulator on loopback; a context manager that starts and stops it.

    Args:
        folder: where the data lives; None means a temporary folder, removed by ``stop``.
        project: the project that is there from the start.
    """

    def __init__(self, folder: Path | None = None, *, project: str = _PROJECT) -> None:
        self._is_temporary = folder is None
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._port = self._storage_port = 0
        self.project = project

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int | None:
        """The process id of the server, None while it does not run."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def api_endpoint(self) -> str:
        return f"http://{_HOST}:{self._port}"

    @property
    def storage_endpoint(self) -> str:
        return f"{_HOST}:{self._storage_port}"

    @property
    def uri(self) -> str:
        """The connection string of its project; the endpoints are options of their own."""
        return f"bigquery://{self.project}"

    @property
    def log(self) -> str:
        """What the server has said so far."""
        path = self._folder and self._folder / _LOG
        return path.read_text(errors="replace") if path and path.exists() else ""

    def options(self, project: str | None = None) -> dict[str, str]:
        """The keys of a configuration that reach it, for one of its projects."""
        return {
            "type": "bigquery",
            "project": project or self.project,
            "api_endpoint": self.api_endpoint,
            "storage_endpoint": self.storage_endpoint,
        }

    def start(self) -> None:
        """Make its environment where it is missing, start the server and wait until it answers."""
        its = environment()
        root = self._folder or Path(tempfile.mkdtemp(prefix="cartridge-warp-bigquery-"))
        self._folder = root
        try:
            (root / "data").mkdir(parents=True, exist_ok=True)
            self._launch(root, its)
        except Exception:
            # The folder stays, also a temporary one: the error says to read its log.
            self._end(signal.SIGTERM)
            raise
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the server in order, then remove a temporary folder."""
        self._end(signal.SIGTERM)
        if self._is_temporary and self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def restart(self) -> None:
        """Start again on the same ports and data, also after ``kill``."""
        if self._folder is None:
            raise OperatorError("The BigQuery emulator was not started", remedy="Call start first")
        self._end(signal.SIGTERM)
        try:
            self._launch(self._folder, environment())
        except BaseException:
            self._end(signal.SIGTERM)
            raise

    def kill(self) -> None:
        """End the server as a crash would; ``restart`` brings back what was committed."""
        self._end(signal.SIGKILL)

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

    def _launch(self, root: Path, its: Environment) -> None:
        """Start until it answers: a port that was taken meanwhile ends a first attempt."""
        deadline = time.monotonic() + _START_SECONDS
        while True:
            self._port = self._port or free_port(_HOST)
            self._storage_port = self._storage_port or free_port(_HOST)
            self._process = self._spawn(root, its)
            if self._answers(deadline):
                return
            said = self.log
            if time.monotonic() > deadline or not any(phrase in said for phrase in _PORT_TAKEN):
                last = (said.strip().splitlines() or ["it said nothing"])[-1]
                raise OperatorError(f"The BigQuery emulator did not start: {last}", remedy=f"Read {root / _LOG}")
            self._port = self._storage_port = 0

    def _spawn(self, root: Path, its: Environment) -> subprocess.Popen[bytes]:
        command = [str(its.python), "-I", str(LAUNCHER), "--host", _HOST, "--project", self.project]
        command += ["--port", str(self._port), "--storage-port", str(self._storage_port), "--data", str(root / "data")]
        variables = {**os.environ, "HOME": str(its.home), "TZ": "UTC"}
        with (root / _LOG).open("wb") as log:
            # A session of its own: Ctrl-C in a terminal must not reach the server before its clients.
            return subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, cwd=root, env=variables)

    def _answers(self, deadline: float) -> bool:
        while self.pid is not None and time.monotonic() < deadline:
            try:
                self._list_datasets()
            except (OSError, http.client.HTTPException):
                time.sleep(0.02)
            else:
                return self.pid is not None
        return False

    def _list_datasets(self) -> None:
        """Which makes it open its files; without a client, whose import takes longer than the answer."""
        connection = http.client.HTTPConnection(_HOST, self._port, timeout=_STOP_SECONDS)
        try:
            connection.request("GET", f"/bigquery/v2/projects/{self.project}/datasets")
            answer = connection.getresponse()
            if answer.status != http.HTTPStatus.OK:
                said = answer.read().decode(errors="replace")
                raise OperatorError(f"The BigQuery emulator did not start: {said}", remedy=f"Look at {self._folder}")
        finally:
            connection.close()
