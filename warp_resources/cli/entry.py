"""Where the command begins and ends: both quick."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Sequence

_BLAS_THREADS = "OPENBLAS_NUM_THREADS"


def main() -> None:
    """The entry point ``cartridge-warp``."""
    # What is loaded is here to stay: looking through it for garbage takes a third of the time that loading takes.
    gc.disable()
    _stop_at_once(sys.argv[1:])
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


def _stop_at_once(arguments: Sequence[str]) -> None:
    """Whoever stops a ``run`` before anything of it has begun stopped it all the same (M6)."""
    is_endless = not {"run", "--source"}.isdisjoint(arguments) and {"--once", "--dry-run"}.isdisjoint(arguments)
    if is_endless:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: os._exit(0))


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
