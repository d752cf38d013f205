"""Proves that a MongoDB source can do what a schema's mode needs, and says what to do if not."""

from __future__ import annotations

import difflib

from pymongo.errors import OperationFailure

from warp_resources.connectors.interfaces import SourceScope
from warp_resources.connectors.mongodb.commands import Cursor
from warp_resources.connectors.mongodb.connect import Client
from warp_resources.connectors.mongodb.errors import UNAUTHORIZED, missing_grant, needs_replica_set
from warp_resources.connectors.mongodb.feed import Feed
from warp_resources.connectors.mongodb.tables import collection_names
from warp_resources.connectors.mongodb.tokens import read_concern
from warp_resources.errors import OperatorError

_ROUTER = "isdbgrid"


def check(client: Client, scope: SourceScope, address: str, *, log: bool, known: bool = False) -> None:
    """Reach the server, the database and, for ``log``, its change stream."""
    hello = client.admin.command("hello")
    if log and "setName" not in hello and hello.get("msg") != _ROUTER:
        raise needs_replica_set(address)
    try:
        names = collection_names(client, scope)
        if not known:
            _check_database(client, scope, address)
        if names:
            _read_one(client, scope, names[0])
        if log:
            _open_stream(client, scope)
    except OperationFailure as error:
        if error.code != UNAUTHORIZED:
            raise
        raise missing_grant(scope.database, address) from error


def _check_database(client: Client, scope: SourceScope, address: str) -> None:
    # Without any privilege on it, a database is not listed: the role read on it is enough.
    databases = client.list_database_names()
    if scope.database in databases:
        return
    near = difflib.get_close_matches(scope.database, databases, n=1, cutoff=0.5)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    raise OperatorError(
        f"MongoDB has no database {scope.database!r}",
        remedy=f"{hint}Correct the schema's database, or create the database by writing to it first",
        server=address,
    )


def _read_one(client: Client, scope: SourceScope, collection: str) -> None:
    command = {"find": collection, "limit": 1, "readConcern": read_concern(None)}
    Cursor(client, scope.database, command).close()


def _open_stream(client: Client, scope: SourceScope) -> None:
    feed = Feed(client, scope, None)
    try:
        feed.open()
    finally:
        feed.close()
