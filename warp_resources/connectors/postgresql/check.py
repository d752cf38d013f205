"""Proves at start-up that the server and its grants allow what writing needs."""

from __future__ import annotations

from typing import Any

from warp_resources.connectors.postgresql.errors import Endpoint
from warp_resources.connectors.postgresql.options import PostgresOptions
from warp_resources.connectors.postgresql.session import Session
from warp_resources.errors import OperatorError, TransientError

_OLDEST = 150000
_FACTS = """
select current_user::text as role, current_database()::text as database,
    current_setting('server_version_num')::integer as version, current_setting('server_version') as release,
    pg_is_in_recovery() or current_setting('default_transaction_read_only')::boolean as is_read_only,
    has_database_privilege(current_database(), 'create') as may_create,
    has_database_privilege(current_database(), 'temporary') as may_stage,
    (select has_schema_privilege(oid, 'usage') and has_schema_privilege(oid, 'create')
        from pg_namespace where nspname = 'cartridge_warp_metadata') as may_use_metadata,
    (select has_schema_privilege(oid, 'usage') and has_schema_privilege(oid, 'create')
        from pg_namespace where nspname = %(schema)s) as may_use_schema
"""


def check_server(session: Session, options: PostgresOptions) -> None:
    """Reach the server; refuse one that is too old, takes no writes, or lacks a grant. Changes nothing.

    Raises:
        OperatorError: with the grant or the upgrade that is missing.
        TransientError: no answer, or a standby that may yet become the primary.
    """
    facts = session.rows(_FACTS, {"schema": options.schema_name})[0]
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
    _refuse_missing_grants(facts, session.endpoint, options)


def _refuse_missing_grants(facts: Any, endpoint: Endpoint, options: PostgresOptions) -> None:
    missing = []
    needs_create = facts.may_use_metadata is None or (options.schema_name is not None and facts.may_use_schema is None)
    if needs_create and not facts.may_create:
        missing.append(f'grant create on database "{facts.database}"')
    if not facts.may_stage:
        missing.append(f'grant temporary on database "{facts.database}"')
    for name, may_use in (
        ("cartridge_warp_metadata", facts.may_use_metadata),
        (options.schema_name, facts.may_use_schema),
    ):
        if may_use is False:
            missing.append(f'grant usage, create on schema "{name}"')
    if missing:
        raise OperatorError(
            f"The role {facts.role!r} lacks grants in the destination",
            remedy="As an administrator: " + "; ".join(f'{grant} to "{facts.role}"' for grant in missing),
            **endpoint.facts(),
        )
