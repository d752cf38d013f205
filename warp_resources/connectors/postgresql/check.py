"""Proves at start-up that the server and its grants allow what writing needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from warp_resources.connectors.postgresql.errors import Endpoint
from warp_resources.connectors.postgresql.migrations import METADATA
from warp_resources.connectors.postgresql.session import Session
from warp_resources.errors import OperatorError, TransientError

_OLDEST = 150000
_FACTS = """
select current_user::text as role, current_database()::text as database,
    current_setting('server_version_num')::integer as version, current_setting('server_version') as release,
    pg_is_in_recovery() or current_setting('default_transaction_read_only')::boolean as is_read_only,
    has_database_privilege(current_database(), 'create') as may_create,
    has_database_privilege(current_database(), 'temporary') as may_stage
"""
# A schema that does not exist yet gives null.
_SCHEMAS = """
select wanted.name, has_schema_privilege(n.oid, 'usage') and has_schema_privilege(n.oid, 'create') as may_use
from unnest(%(schemas)s::text[]) with ordinality as wanted (name, place)
left join pg_namespace as n on n.nspname = wanted.name order by wanted.place
"""


def check_server(session: Session, schemas: Sequence[str]) -> None:
    """Reach the server; refuse one that is too old, takes no writes, or lacks a grant. Changes nothing.

    Args:
        schemas: where tables will be written, beside the metadata.

    Raises:
        OperatorError: with the grant or the upgrade that is missing.
        TransientError: no answer, or a standby that may yet become the primary.
    """
    facts = session.rows(_FACTS)[0]
    if facts.version < _OLDEST:
        raise OperatorError(
            "The PostgreSQL server is too old: merge came with version 15",
            remedy="Upgrade the server to PostgreSQL 15 or later",
            found=facts.release,
            **session.endpoint.facts(),
        )
    if facts.is_read_only:
        raise TransientError(
            "The PostgreSQL server takes no writes now (it is a standby or read-only)",
            remedy="Point connection_string at the primary if this lasts",
            **session.endpoint.facts(),
        )
    wanted = list(dict.fromkeys([METADATA, *schemas]))
    usable = {row.name: row.may_use for row in session.rows(_SCHEMAS, {"schemas": wanted})}
    _refuse_missing_grants(facts, usable, session.endpoint)


def _refuse_missing_grants(facts: Any, usable: dict[str, bool | None], endpoint: Endpoint) -> None:
    missing = []
    if None in usable.values() and not facts.may_create:
        missing.append(f'grant create on database "{facts.database}"')
    if not facts.may_stage:
        missing.append(f'grant temporary on database "{facts.database}"')
    missing += [f'grant usage, create on schema "{name}"' for name, may_use in usable.items() if may_use is False]
    if missing:
        raise OperatorError(
            f"The role {facts.role!r} lacks grants in the destination",
            remedy="As an administrator: " + "; ".join(f'{grant} to "{facts.role}"' for grant in missing),
            **endpoint.facts(),
        )
