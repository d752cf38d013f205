"""Ends sessions of ours whose process is frozen, or cannot be reached, while others wait for their locks."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import structlog

from warp_resources.connectors.postgresql.session import Connection

SILENT_SECONDS = 4.0
"""In the middle of a transaction: whoever says nothing for as long as a lease lasts has lost its own."""

# Who copies is not idle, however long it says nothing: its bytes tell whether it goes on.
_IN_THE_WAY = """
select distinct b.pid, b.backend_start, b.state_change, b.state like 'idle in transaction%%' as is_idle,
    coalesce(c.bytes_processed, 0) as bytes
from pg_stat_activity as w
cross join lateral unnest(pg_blocking_pids(w.pid)) as blocking (pid)
join pg_stat_activity as b on b.pid = blocking.pid
left join pg_stat_progress_copy as c on c.pid = b.pid
where w.wait_event_type = 'Lock' and b.wait_event = 'ClientRead' and b.usename = current_user
    and b.application_name = current_setting('application_name')
    and b.state_change < clock_timestamp() - make_interval(secs => %s)
"""
_END = """
select pg_terminate_backend(pid) from pg_stat_activity
where pid = %s and backend_start = %s and state_change = %s and wait_event = 'ClientRead'
"""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class FrozenSessions:
    """Those that copy, by process and start: how many bytes they had copied, and when that was first seen."""

    _copying: dict[tuple[int, object], tuple[int, float]] = field(default_factory=dict)

    def end(self, connection: Connection) -> int:
        """End those that have been silent for long enough; how many. Call it every second or so.

        Whoever wakes up again finds its transaction rolled back, and is fenced if it tries again.
        """
        now = time.monotonic()
        copying, ended = {}, 0
        for row in connection.execute(_IN_THE_WAY, [SILENT_SECONDS]).fetchall():
            key = row.pid, row.backend_start
            bytes_before, since = self._copying.get(key, (row.bytes, now))
            if bytes_before != row.bytes:
                since = now
            if not row.is_idle and now - since < SILENT_SECONDS:
                copying[key] = row.bytes, since
                continue
            if connection.execute(_END, [*key, row.state_change]).rowcount:
                ended += 1
                log.warning("session ended: its process is frozen, and others wait for its locks", backend=row.pid)
        self._copying = copying
        return ended
