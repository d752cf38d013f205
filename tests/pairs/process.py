"""Runs the command as a process of its own, as a user does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

WARP = str(Path(sys.executable).parent / "cartridge-warp")
PATIENCE_SECONDS = 60.0


class Command:
    """``cartridge-warp`` with a configuration of its own."""

    def __init__(
        self,
        folder: Path,
        source: str,
        warehouse: str | Mapping[str, Any],
        database: str,
        *,
        top: Mapping[str, Any] | None = None,
        **schema: Any,
    ) -> None:
        """``warehouse``: where a PostgreSQL server is, or the keys of another destination.

        ``schema``: further keys of the schema; ``top``: of the file itself.
        """
        postgresql = {"type": "postgresql", "connection_string": warehouse}
        self.schema = database
        self._folder = folder
        self.path = folder / "warp.yaml"
        content: dict[str, Any] = {
            "source": {"type": "mongodb", "connection_string": source, "database": database},
            "destination": postgresql if isinstance(warehouse, str) else dict(warehouse),
            "schemas": [{"name": database, **schema}],
            "monitoring": {"prometheus": {"enabled": False}},
        }
        for name, value in (top or {}).items():
            content[name] = {**content.get(name, {}), **value} if isinstance(value, dict) else value
        self.path.write_text(yaml.safe_dump(content))

    @property
    def log(self) -> str:
        path = self._folder / "log"
        return path.read_text() if path.exists() else ""

    def start(self, *arguments: str, failpoints: str | None = None) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "CARTRIDGE_WARP_CONFIG": str(self.path), "NO_COLOR": "1"}
        if failpoints:
            environment["CARTRIDGE_WARP_FAILPOINTS"] = failpoints
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen([WARP, *arguments], env=environment, stdout=log, stderr=log, cwd=self._folder)

    def once(self, *arguments: str) -> None:
        process = self.start("run", "--once", *arguments)
        assert process.wait(120) == 0, self.log[-3000:]


def stop(process: subprocess.Popen[bytes]) -> int:
    """Ask a process to stop; its exit code, and an error after ten seconds (SPEC M6)."""
    process.send_signal(signal.SIGTERM)
    return process.wait(10)


def eventually(condition: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> None:
    """Wait until a condition holds (gives nothing, an empty list or True), or fail with what it gave."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found is True or found == []:
            return
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
