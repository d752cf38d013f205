"""Lists the collections of a scope."""

from __future__ import annotations

from warp_resources.connectors.interfaces import SourceScope, SourceTable
from warp_resources.connectors.mongodb.connect import Client
from warp_resources.connectors.mongodb.scope import is_in_scope
from warp_resources.connectors.mongodb.snapshot import collection_size


def collection_names(client: Client, scope: SourceScope) -> list[str]:
    """The collections of a scope in name order: no views, no time series, no system collections."""
    found = client[scope.database].list_collections(filter={"type": "collection"}, nameOnly=True)
    return sorted(str(entry["name"]) for entry in found if is_in_scope(scope, str(entry["name"])))


def tables(client: Client, scope: SourceScope) -> list[SourceTable]:
    """The collections of a scope with the server's estimates of their sizes."""
    names = collection_names(client, scope)
    sizes = [collection_size(client, scope.database, name) for name in names]
    return [SourceTable(name, size.rows, size.bytes) for name, size in zip(names, sizes, strict=True)]
