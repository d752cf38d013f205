"""Named places where a test makes a process fail; each costs one comparison where none is armed.

``CARTRIDGE_WARP_FAILPOINTS`` arms them for the processes that see it, with ``;`` between several:

    commit.ready=kill            as kill -9 does, the first time that the process comes by
    chunk.read=error@3           a lost connection, the third time
    cut.read=sleep:5             five seconds' rest
    commit.done=stop%2           frozen (SIGSTOP) in two of a hundred cases, each time anew
    slice.taken=kill^/tmp/mark   only by the process that makes this file: those that follow live
"""

from __future__ import annotations

import os
import random
import re
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import structlog

from warp_resources.errors import ConfigurationError, TransientError

VARIABLE = "CARTRIDGE_WARP_FAILPOINTS"
POINTS = {
    "engine.opened": "connected, no lease taken",
    "stream.taken": "the stream's lease and epoch are taken, nothing is read",
    "stream.admitted": "tables are covered, their readings are not opened",
    "stream.restarted": "after lost history: the new start is committed, nothing is read",
    "cut.read": "a cut is read and not written",
    "cut.written": "a cut is committed, the next one not begun",
    "table.aside": "a table is set aside, its own stream not opened",
    "table.rejoining": "a table that was set aside is to take part again",
    "generation.opened": "a reading of a table is open, none of it is read",
    "slice.taken": "a slice is claimed, nothing of it is read",
    "chunk.read": "a chunk is read and not written",
    "chunk.written": "a chunk is committed, the next one not begun",
    "slice.read": "all of a slice is committed, its lease is still held",
    "generation.read": "all slices are read, stale rows are not removed",
    "tick.claimed": "a batch table is claimed, nothing is read",
    "tick.read": "a batch of a tick is read and not written",
    "letters.read": "dead letters are read for a replay and not written",
    "repair.read": "rows that differ are read again and not written",
    "rewrite.stepped": "one step of a big rewrite is committed",
    "ddl.announced": "a schema change is committed as an intent, none of its statements is run",
    "ddl.created": "a table or column is made where no transaction can hold it, its version not registered",
    "ddl.filled": "a new column is filled with the values of the one that it replaces",
    "ddl.swapped": "a column is replaced or renamed, its version not registered",
    "ddl.dropped": "what columns were replaced by others has been dropped, its version not registered",
    "ddl.applied": "all statements of a schema change are run, its version is not registered",
    "lease.renewing": "a lease is about to be renewed",
    "commit.staged": "a batch is loaded into its staging table, its transaction not begun",
    "commit.part": "some tables of a cut are committed, its marker and the others are not",
    "commit.locked": "in a batch's transaction: staged, fenced, its tables' rows locked",
    "commit.ready": "in a batch's transaction: all is written, COMMIT not sent",
    "commit.done": "after a batch's COMMIT, its answer not used",
    "transaction.ready": "in any transaction of the destination: COMMIT not sent",
    "transaction.done": "after any transaction of the destination, its answer not used",
}
"""What a process has done, and what it has not, when it comes by each."""

_KILL, _STOP, _SLEEP = "kill", "stop", "sleep"
_ENTRY = re.compile(
    r"(?P<point>[a-z.]+)=(?P<action>kill|stop|error|sleep(:(?P<seconds>[0-9.]+))?)"
    r"(@(?P<hit>[1-9][0-9]*)|%(?P<percent>[0-9.]+))?(\^(?P<mark>.+))?"
)

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Failpoint:
    """What is to happen at a point: at its ``hit``-th passing, or in ``percent`` of all."""

    action: str
    seconds: float
    hit: int
    percent: float | None
    mark: Path | None
    passed: int = 0

    def is_due(self) -> bool:
        self.passed += 1
        due = self.passed == self.hit if self.percent is None else random.random() * 100 < self.percent
        return due and (self.mark is None or _is_first(self.mark))


_armed: dict[str, _Failpoint] = {}
_told: str | None = None


def arm(told: str | None) -> None:
    """Arm what the variable tells, once per process: what was passed already counts.

    Raises:
        ConfigurationError: it is not understood, or names a point that there is not.
    """
    global _told
    if told == _told:
        return
    _told = told
    _armed.clear()
    _armed.update(_parsed(entry) for entry in (told or "").split(";") if entry)


def failpoint(name: str) -> None:
    """Fail here, if that is wanted; nothing happens otherwise."""
    if _armed:
        _pass(name)


def _pass(name: str) -> None:
    its = _armed.get(name)
    if its is None or not its.is_due():
        return
    log.warning("failpoint", point=name, action=its.action, passed=its.passed, pid=os.getpid())
    if its.action == _KILL:
        os.kill(os.getpid(), signal.SIGKILL)
    elif its.action == _STOP:
        os.kill(os.getpid(), signal.SIGSTOP)
    elif its.action == _SLEEP:
        time.sleep(its.seconds)
    else:
        raise TransientError("A failpoint is armed here", remedy=f"Unset {VARIABLE}", point=name)


def _parsed(entry: str) -> tuple[str, _Failpoint]:
    found = _ENTRY.fullmatch(entry)
    if found is None or found["point"] not in POINTS:
        raise ConfigurationError(
            f"{VARIABLE} is not understood",
            remedy="Write POINT=kill, stop, error or sleep:SECONDS, then @HIT or %PERCENT; points: "
            + ", ".join(POINTS),
            found=entry,
        )
    percent, mark = found["percent"], found["mark"]
    return found["point"], _Failpoint(
        action=found["action"].partition(":")[0],
        seconds=float(found["seconds"] or 1),
        hit=int(found["hit"] or 1),
        percent=None if percent is None else float(percent),
        mark=None if mark is None else Path(mark),
    )


def _is_first(mark: Path) -> bool:
    try:
        mark.open("x").close()
    except FileExistsError:
        return False
    return True
