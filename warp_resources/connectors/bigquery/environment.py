"""Makes the environment of the emulator, which needs a newer Python than this project may run on."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from warp_resources.connectors.bigquery.pythons import newer_python
from warp_resources.errors import OperatorError

LAUNCHER = Path(__file__).with_name("emulator.py")
LOCK = Path(__file__).with_name("emulator.lock")
_INSTALL_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment with the emulator in it, read-only once it is there."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def home(self) -> Path:
        """The home folder of the emulator, with DuckDB's extensions."""
        return self.folder / "home"


def environment(parent: Path | None = None) -> Environment:
    """The environment of the locked packages, made within seconds where it is missing.

    Args:
        parent: the folder it lives in; None means beside the project's own, or the user's cache.

    Raises:
        OperatorError: there is no Python for it, or the packages cannot be installed.
    """
    parent = parent or _parent()
    digest = hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]
    found = Environment(parent / digest)
    if not found.python.exists():
        parent.mkdir(parents=True, exist_ok=True)
        with _alone(parent):
            if not found.python.exists():
                _make(found.folder, newer_python())
    return found


def _parent() -> Path:
    beside = Path(sys.prefix).parent
    if (beside / "pyproject.toml").is_file() and os.access(beside, os.W_OK):
        return beside / ".venv-bigquery"
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "cartridge-warp" / "bigquery"


@contextmanager
def _alone(parent: Path) -> Iterator[None]:
    """One process at a time; the operating system frees the lock of one that ends."""
    with (parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make(folder: Path, python: Path) -> None:
    """Build under another name, so that what has the name is whole; what earlier builds have left goes."""
    for left in folder.parent.iterdir():
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
    partial = Environment(folder.with_name(f"{folder.name}.partial"))
    try:
        _run([str(python), "-I", "-m", "venv", str(partial.folder)])
        install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
        _run([str(partial.python), *install, "--no-deps", "--require-hashes", "-r", str(LOCK)])
        partial.home.mkdir()
        _run([str(partial.python), "-I", str(LAUNCHER), "--prepare"], home=partial.home)
        partial.folder.rename(folder)
    finally:
        shutil.rmtree(partial.folder, ignore_errors=True)


def _run(command: list[str], home: Path | None = None) -> None:
    variables = {**os.environ, **({"HOME": str(home)} if home else {})}
    # What points Python at our own packages must not reach another Python.
    for name in ("PYTHONPATH", "PYTHONHOME", "__PYVENV_LAUNCHER__"):
        variables.pop(name, None)
    try:
        subprocess.run(
            command,
            env=variables,
            check=True,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_INSTALL_SECONDS,
        )
    except (subprocess.SubprocessError, OSError) as error:
        said = str(getattr(error, "stderr", None) or error).strip().splitlines()
        raise OperatorError(
            f"The packages of the BigQuery emulator cannot be installed: {said[-1]}",
            remedy="See that pip reaches a package index, then try again",
            python=command[0],
        ) from error


def main() -> None:
    """Make it beforehand, where several processes are about to want it."""
    try:
        environment()
    except OperatorError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
