"""Keeps leases and mandates in tables, by the server's clock."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from warp_resources.connectors.holders import described, is_dead
from warp_resources.connectors.postgresql.session import Connection
from warp_resources.errors import LeaseHeld
from warp_resources.model.positions import Holder, Lease

_TAKE = """
insert into cartridge_warp_metadata.leases as l (name, token, host, pid, started, label, expires_at)
values (%(name)s, %(token)s, %(host)s, %(pid)s, %(started)s, %(label)s, clock_timestamp() + %(ttl)s)
on conflict (name) do update set token = excluded.token, host = excluded.host, pid = excluded.pid,
    started = excluded.started, label = excluded.label, note = null, taken_at = clock_timestamp(),
    expires_at = excluded.expires_at
where l.expires_at < clock_timestamp() or l.token = %(previous)s
    or l.expires_at > clock_timestamp() + 2 * %(ttl)s::interval
"""
# The last of these: no living holder has one that lasts for so long, but a clock that was set back leaves it behind.
_RENEW = """
update cartridge_warp_metadata.leases set expires_at = clock_timestamp() + %(ttl)s
where (name, token::text) in (select * from unnest(%(names)s::text[], %(tokens)s::text[]))
    and expires_at >= clock_timestamp()
returning name, token
"""
_RELEASE = "delete from cartridge_warp_metadata.leases where name = %s and token::text = %s"
_HOLDER = """
select token, host, pid, started, label from cartridge_warp_metadata.leases
where name = %s and expires_at >= clock_timestamp()
"""
_NOTE = "update cartridge_warp_metadata.leases set note = %s where name = %s and token::text = %s"
# Where nothing was noted, the table may be of a version that had no notes.
_NOTED = """
select to_jsonb(l) ->> 'note' as note from cartridge_warp_metadata.leases as l
where name = %s and expires_at >= clock_timestamp()
"""
_SET_MANDATE = """
insert into cartridge_warp_metadata.mandates (schema_name, expires_at) values (%s, clock_timestamp() + %s)
on conflict (schema_name) do update set expires_at = excluded.expires_at
"""
_HAS_MANDATE = """
select exists (
    select from cartridge_warp_metadata.mandates where schema_name = %s and expires_at > clock_timestamp()
)
"""


def take_lease(connection: Connection, name: str, holder: Holder, ttl: timedelta) -> Lease:
    """Take a lease in one statement; that of a dead process of this host by a second one.

    Raises:
        LeaseHeld: a live or unknown process holds it.
    """
    lease = Lease(name, str(uuid.uuid4()))
    if _take(connection, lease, holder, ttl, None):
        return lease
    row = connection.execute(_HOLDER, [name]).fetchone()
    if row is None:
        if _take(connection, lease, holder, ttl, None):
            return lease
    elif is_dead(_holder(row), holder.host) and _take(connection, lease, holder, ttl, row.token):
        return lease
    current = lease_holder(connection, name)
    raise LeaseHeld(
        f"Another process holds the lease {name!r}",
        remedy="Stop it, or let it do the work",
        holder=described(current) if current else "a process that just took it",
        lease=name,
    )


def renew_leases(connection: Connection, leases: Sequence[Lease], ttl: timedelta) -> list[Lease]:
    """Renew those that have neither expired nor been taken over."""
    parameters = {"ttl": ttl, "names": [lease.name for lease in leases], "tokens": [lease.token for lease in leases]}
    return [Lease(row.name, str(row.token)) for row in connection.execute(_RENEW, parameters).fetchall()]


def release_lease(connection: Connection, lease: Lease) -> None:
    connection.execute(_RELEASE, [lease.name, lease.token])


def lease_holder(connection: Connection, name: str) -> Holder | None:
    row = connection.execute(_HOLDER, [name]).fetchone()
    return None if row is None else _holder(row)


def note(connection: Connection, lease: Lease, text: str) -> None:
    connection.execute(_NOTE, [text, lease.name, lease.token])


def noted(connection: Connection, name: str) -> str | None:
    row = connection.execute(_NOTED, [name]).fetchone()
    return None if row is None else row.note


def set_mandate(connection: Connection, schema: str, ttl: timedelta) -> None:
    connection.execute(_SET_MANDATE, [schema, ttl])


def has_mandate(connection: Connection, schema: str) -> bool:
    row = connection.execute(_HAS_MANDATE, [schema]).fetchone()
    return bool(row and row[0])


def _take(connection: Connection, lease: Lease, holder: Holder, ttl: timedelta, previous: uuid.UUID | None) -> bool:
    parameters = {
        "name": lease.name,
        "token": uuid.UUID(lease.token),
        "host": holder.host,
        "pid": holder.pid,
        "started": holder.started,
        "label": holder.label,
        "ttl": ttl,
        "previous": previous,
    }
    return connection.execute(_TAKE, parameters).rowcount == 1


def _holder(row: Any) -> Holder:
    return Holder(row.host, row.pid, row.started, row.label)
