"""Finds out that the line to the server is dead, although nothing says so: neither an answer comes nor an end."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg
import structlog
from psycopg.waiting import Ready

SILENT_SECONDS, AGAIN_SECONDS = 8.0, 4.0
"""Without a byte either way while an answer is due, before the server is asked over another line; once, and again."""
SUSPECT_SECONDS = 2.0
"""The same for a line from before another one to the same server was found dead."""
_ASKING_SECONDS = 8
SLOWEST_BYTES_PER_SECOND = 262_144
"""What a line carries that is slow and not dead."""
IDLE_SECONDS = 15
"""In a transaction, before the server ends a session that says nothing."""

_LONGER = "select set_config('idle_in_transaction_session_timeout', %s, true)"
_STATE = """
select a.wait_event in ('ClientRead', 'ClientWrite') as is_waiting,
    (a.state_change, a.state, a.wait_event, c.bytes_processed)::text as place
from pg_stat_activity as a left join pg_stat_progress_copy as c on c.pid = a.pid
where a.pid = %s and coalesce(a.backend_start = %s, true)
"""
# A role that acts as another (alter role ... set role) may not look at its own sessions.
_AS_OURSELVES = "set role none"
OWN_SESSION = """
pg_backend_pid() as pid, (select backend_start from pg_stat_activity where pid = pg_backend_pid()) as backend_start
"""
"""Of a select list: with its start the pid names this session, and none that comes after it."""

_lost_at: dict[str, float] = {}
"""When a line to a server was last found dead: the others that were open then probably are, too."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Watch:
    """What the server says of one of our sessions, asked over a connection of its own.

    Args:
        address: how to reach the server.
        pid, started: the session, as the server knows it; None where it does not tell its start.
    """

    address: str = field(repr=False)
    pid: int
    started: object
    slack: float = field(default=0.0, init=False)
    _place: object = field(default=None, init=False)
    _heard_at: float = field(default_factory=time.monotonic, init=False)
    _asked: int = field(default=0, init=False)

    @property
    def patience(self) -> float:
        """How long the line may be silent until the server is asked the next time."""
        if self._is_suspect:
            return self.slack + SUSPECT_SECONDS * (1 + self._asked)
        return self.slack + SILENT_SECONDS + AGAIN_SECONDS * self._asked

    def heard(self) -> None:
        """The line has given an answer."""
        self._heard_at, self._asked, self._place = time.monotonic(), 0, None

    def is_lost(self) -> bool:
        """Whether the session will never get its answer.

        It is where the server cannot be reached or has no such session, or where both sides have waited for each
        other since the last time that this was asked.
        """
        self._asked += 1
        before, self._place = self._place, None
        try:
            with _asking(self.address) as connection:
                if self.started is None:
                    connection.execute(_AS_OURSELVES)
                found = connection.execute(_STATE, [self.pid, self.started]).fetchone()
        except psycopg.Error as error:
            # Who says no is there, as a server without room for another connection is.
            is_there = error.sqlstate is not None or "FATAL" in str(error)
            return not is_there and self._given_up("the destination gives no answer, nor a new connection")
        if found is None:
            return self._given_up("the destination has ended the session")
        is_waiting, place = found
        self._place = place if is_waiting else None
        if not is_waiting or (place != before and not self._is_suspect):
            return False
        return self._given_up("the destination waits for us as we do for it: the line is dead")

    @property
    def _is_suspect(self) -> bool:
        return _lost_at.get(self.address, 0.0) > self._heard_at

    def _given_up(self, reason: str) -> bool:
        log.warning(reason, backend=self.pid)
        _lost_at[self.address] = time.monotonic()
        return True


class WatchedConnection(psycopg.Connection[Any]):
    """A connection that is cut once its line is known to be dead, so that whoever waits goes on with an error.

    Keepalives and ``tcp_user_timeout`` find a machine that is gone, but not a proxy, a tunnel or a frozen server
    that still takes bytes; and how long a statement may take says nothing of the line.
    """

    watch: Watch | None = None
    """Who knows more of a silence; a connection without is cut at the first."""

    def wait(self, gen: Generator[Any, Any, Any], *arguments: Any, **named: Any) -> Any:
        return super().wait(self._watched(gen), *arguments, **named)

    def _watched(self, gen: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        silent_since = time.monotonic()
        is_heard = False
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if ready:
                    silent_since = time.monotonic()
                    is_heard = is_heard or bool(ready & Ready.R)
                elif time.monotonic() - silent_since > self._patience:
                    self._ask()
                wanted = gen.send(ready)
        except StopIteration as done:
            if is_heard and self.watch is not None:
                self.watch.heard()
            return done.value

    @property
    def _patience(self) -> float:
        return SILENT_SECONDS if self.watch is None else self.watch.patience

    def _ask(self) -> None:
        """End the connection on this side, if it is lost; the driver then finds it closed."""
        if self.watch is None or self.watch.is_lost():
            end_line(self.pgconn.socket)


@contextlib.contextmanager
def sending(connection: psycopg.Connection[Any], byte_count: int) -> Iterator[None]:
    """Within the block, of a transaction, one value of so many bytes is sent with a statement.

    The server shows nothing of it until it has all of it, so that a slow line looks like a dead one.
    """
    seconds = byte_count / SLOWEST_BYTES_PER_SECOND
    watch = connection.watch if isinstance(connection, WatchedConnection) else None
    if watch is None or seconds < 1:
        yield
        return
    connection.execute(_LONGER, [f"{round(IDLE_SECONDS + seconds)}s"])
    watch.slack = seconds
    try:
        yield
    finally:
        watch.slack = 0.0


def end_line(descriptor: int) -> None:
    """End a connection on this side without closing its socket; one that has ended by itself is left alone."""
    with socket.socket(fileno=os.dup(descriptor)) as line, contextlib.suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)


def _asking(address: str) -> WatchedConnection:
    found = WatchedConnection.connect(address, autocommit=True, connect_timeout=_ASKING_SECONDS)
    assert isinstance(found, WatchedConnection)
    return found
