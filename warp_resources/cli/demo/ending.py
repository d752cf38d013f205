"""Ends a demonstration whole, at whatever moment: its processes and its folder go, the logs of a failure stay."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TypeVar

import psutil

MARK = "WARP_DEMONSTRATION"
"""In the environment of every process that a demonstration starts: they are found also where nobody knows their pid."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_GRACE_SECONDS, _KILL_SECONDS, _LOOK_SECONDS = 10.0, 5.0, 0.05

Played = TypeVar("Played")


def perform(play: Callable[[Path], Played]) -> Played:
    """What ``play`` returns, which is given an empty folder; afterwards none of its processes and files is left.

    SIGINT, SIGTERM and SIGHUP raise KeyboardInterrupt once; from then on, or from ``play``'s end on, they are ignored,
    since ending takes a bounded time. An exception leaves the files ``*.log``, which its message may name.
    """
    folder = Path(tempfile.gettempdir(), f"cartridge-warp-demo-{secrets.token_hex(4)}")
    os.environ[MARK] = str(folder)
    has_failed = False
    try:
        try:
            _on_signals(_interrupt)
            folder.mkdir()
            # PostgreSQL runs as a user of its own where root starts it, and must reach its folder.
            folder.chmod(0o755)
            return play(folder)
        except Exception:
            has_failed = True
            raise
        finally:
            ignore_signals()
    finally:
        # An interruption that came before a process was noted, or in the middle of a clean-up, leaves it to this.
        end_marked(MARK, str(folder))
        _remove(folder, keep_logs=has_failed)


def ignore_signals() -> None:
    """From now on there is nothing left to interrupt."""
    _on_signals(_ignore)


def end_marked(name: str, value: str) -> None:
    """End every process that has this variable in its environment, and those that they start meanwhile."""
    began = time.monotonic()
    asked: set[psutil.Process] = set()
    while found := _marked(name, value):
        waited = time.monotonic() - began
        if waited > _GRACE_SECONDS + _KILL_SECONDS:
            return
        for process in found:
            if waited > _GRACE_SECONDS:
                _send(process, signal.SIGKILL)
            elif process not in asked:
                _send(process, signal.SIGTERM)
        asked.update(found)
        time.sleep(_LOOK_SECONDS)


def _marked(name: str, value: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(name) == value:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def _send(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return


def _remove(folder: Path, *, keep_logs: bool) -> None:
    if not keep_logs:
        shutil.rmtree(folder, ignore_errors=True)
        return
    for place, folders, files in os.walk(folder, topdown=False):
        for name in files:
            if not name.endswith(".log"):
                Path(place, name).unlink(missing_ok=True)
        for name in folders:
            _remove_empty(Path(place, name))


def _remove_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        return


def _on_signals(handler: Callable[[int, FrameType | None], None]) -> None:
    for number in _SIGNALS:
        # Where `nohup` has it ignored, the end of the terminal is no reason to end.
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handler)


def _interrupt(number: int, frame: FrameType | None) -> None:
    ignore_signals()
    if number == signal.SIGHUP:
        _fall_silent()
    raise KeyboardInterrupt


def _ignore(number: int, frame: FrameType | None) -> None:
    """Not SIG_IGN, which a child would inherit."""


def _fall_silent() -> None:
    """The terminal may be gone: what is said from now on must not fail for it."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)
