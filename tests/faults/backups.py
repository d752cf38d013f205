"""A server of a test's own, of whose data copies are taken and put back."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar


class Server(Protocol):
    """What keeps all that it has in ``data`` in its folder."""

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def kill(self) -> None: ...
    def restart(self) -> None: ...


Its = TypeVar("Its", bound=Server)


@dataclass(frozen=True, slots=True)
class Backups(Generic[Its]):
    """A server that runs, and the folder that it was made with."""

    server: Its
    folder: Path

    def take(self) -> None:
        self.server.kill()
        self._copy("data", "backup")
        self.server.restart()

    def put_back(self) -> None:
        self.server.kill()
        self._copy("backup", "data")
        self.server.restart()

    def _copy(self, source: str, target: str) -> None:
        shutil.rmtree(self.folder / target, ignore_errors=True)
        subprocess.run(["cp", "-a", str(self.folder / source), str(self.folder / target)], check=True)


@contextmanager
def backed_up(make: Callable[[Path], Its]) -> Iterator[Backups[Its]]:
    """A server in a folder that is removed in the end."""
    folder = Path(tempfile.mkdtemp(prefix="cartridge-warp-backup-", dir="/var/tmp"))
    server = make(folder)
    try:
        server.start()
        yield Backups(server, folder)
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
