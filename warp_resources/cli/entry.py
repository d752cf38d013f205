"""Where the command begins and ends: both quick."""

from __future__ import annotations

import gc
import os
import sys

_BLAS_THREADS = "OPENBLAS_NUM_THREADS"


def main() -> None:
    """The entry point ``cartridge-warp``."""
    # What is loaded is here to stay: looking through it for garbage takes a third of the time that loading takes.
    gc.disable()
    _load_numpy()
    from warp_resources.cli.app import main as command

    gc.freeze()
    gc.enable()
    try:
        command()
    except SystemExit as end:
        _leave(end)
    else:
        _leave(SystemExit())


def _load_numpy() -> None:
    """Without the threads of its linear algebra, which nothing here uses and which spin while they wait."""
    if _BLAS_THREADS in os.environ:
        return
    os.environ[_BLAS_THREADS] = "1"
    import numpy  # noqa: F401

    del os.environ[_BLAS_THREADS]


def _leave(end: SystemExit) -> None:
    """End at once: all that matters is closed, and only drivers' idle threads, half a second each, are left."""
    if not isinstance(end.code, int | None):
        raise end
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(end.code or 0)
