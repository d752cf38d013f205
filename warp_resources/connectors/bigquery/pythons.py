"""Finds a Python for the emulator: on the PATH, from a version manager, or from uv."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from warp_resources.errors import OperatorError

OLDEST = (3, 13)
_NAMES = ("python3.13", "python3.14", "python3.15", "python3", "python")
_PROBE_SECONDS, _DOWNLOAD_SECONDS = 20.0, 300.0
# A shim of a version manager may be there and run nothing, and a distribution may leave out what makes environments.
_PROBE = f"import sys, ensurepip, venv; sys.exit(sys.version_info < {OLDEST} or sys.implementation.name != 'cpython')"


def newer_python() -> Path:
    """A Python that the emulator can run on.

    Raises:
        OperatorError: there is none, and uv cannot bring one.
    """
    for python in (*_on_the_path(), *_of_version_managers()):
        if _fits(python):
            return python
    brought = _from_uv()
    if brought is not None:
        return brought
    oldest = ".".join(map(str, OLDEST))
    raise OperatorError(
        f"The BigQuery emulator needs a Python of {oldest} or newer, and there is none on this machine",
        remedy=f"Install one: uv python install {oldest}, pyenv install {oldest}, apt-get install python{oldest}-venv",
    )


def _fits(python: Path) -> bool:
    try:
        return not subprocess.run([python, "-I", "-c", _PROBE], capture_output=True, timeout=_PROBE_SECONDS).returncode
    except (OSError, subprocess.SubprocessError):
        return False


def _on_the_path() -> Iterator[Path]:
    yield Path(sys.executable)
    for name in _NAMES:
        for folder in os.get_exec_path():
            if (found := Path(folder) / name).is_file():
                yield found


def _of_version_managers() -> Iterator[Path]:
    """Those that pyenv, mise, asdf and uv have installed, by their folders."""
    home = Path.home()
    share = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    for variable, default, versions in (
        ("PYENV_ROOT", home / ".pyenv", "versions"),
        ("MISE_DATA_DIR", share / "mise", "installs/python"),
        ("ASDF_DATA_DIR", home / ".asdf", "installs/python"),
        ("UV_PYTHON_INSTALL_DIR", share / "uv" / "python", "."),
    ):
        folder = Path(os.environ.get(variable) or default) / versions
        # Their names have a version each, of which some are too old to be worth a try.
        yield from sorted(folder.glob("*3.1[3-9]*/bin/python3"))


def _from_uv() -> Path | None:
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv is None:
        return None
    wanted = [".".join(map(str, OLDEST)), "--quiet", "--managed-python"]
    try:
        subprocess.run([uv, "python", "install", *wanted], capture_output=True, timeout=_DOWNLOAD_SECONDS, check=True)
        found = subprocess.run([uv, "python", "find", *wanted], capture_output=True, text=True, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    python = Path(found.stdout.strip())
    return python if _fits(python) else None
