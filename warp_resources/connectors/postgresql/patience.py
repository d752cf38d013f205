"""Says how long a commit waits for a lock that somebody else holds on one of its tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from warp_resources.connectors.postgresql.session import Connection
from warp_resources.model.positions import BatchCommit, ChunkCommit, Commit, ReplayCommit, StreamCommit

ALTERING = "5s"
"""Who waits for longer than this to alter a table keeps its readers waiting."""
_LONG, _SHORT = "5s", "500ms"
_BATCH = "30s"

_SHORTEN = """
select current_setting('lock_timeout') as before, set_config('lock_timeout',
    case current_setting('lock_timeout') when '0' then %s else current_setting('lock_timeout') end, true)
"""
_LIMIT = "select set_config('lock_timeout', %s, true)"


def patience(commit: Commit) -> str | None:
    """How long a commit waits for a lock on a table, None where it is not for the commit to say.

    All tables of a stream wait while it does; what is only tried again, beside it, waits less still. After a batch
    table, others of its schema come.
    """
    match commit:
        case StreamCommit():
            if commit.lock_wait is None:
                return _SHORT if commit.aside else _LONG
            return _setting(commit.lock_wait)
        case ReplayCommit():
            return _SHORT
        case ChunkCommit(holds_stream=True):
            return _LONG
        case BatchCommit():
            return _BATCH
        case _:
            return None


def work_time(commit: Commit) -> str | None:
    """How long one statement of a commit may take, None where the session's own limit is to hold."""
    return _setting(commit.work_time) if isinstance(commit, StreamCommit) and commit.work_time else None


def _setting(span: timedelta) -> str:
    return f"{max(1, round(span / timedelta(milliseconds=1)))}ms"


def limit_wait(connection: Connection, commit: Commit) -> None:
    """From here on, wait no longer than the commit has patience."""
    limit = patience(commit)
    if limit is not None:
        connection.execute(_LIMIT, [limit])


@contextmanager
def altering(connection: Connection) -> Iterator[None]:
    """Within the block, a lock is waited for no longer than an ``alter table`` may."""
    [(before, _)] = connection.execute(_SHORTEN, [ALTERING]).fetchall()
    yield
    # What follows may wait for its rows longer than readers of the table have to wait for an ALTER.
    connection.execute(_LIMIT, [before])
