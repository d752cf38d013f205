"""Builds the aggregation that a change stream is."""

from __future__ import annotations

from typing import Any

from bson.timestamp import Timestamp

from warp_resources.connectors.interfaces import SourceScope
from warp_resources.connectors.mongodb.events import OPERATIONS
from warp_resources.connectors.mongodb.scope import name_filter
from warp_resources.connectors.mongodb.tokens import ClusterTime

_WHOLE_DATABASE = ("dropDatabase", "invalidate")


def stream_pipeline(
    scope: SourceScope,
    after: dict[str, Any] | None,
    at: ClusterTime | None = None,
    *,
    is_expanded: bool,
    is_slim: bool = False,
) -> list[dict[str, Any]]:
    """The stages of a change stream on the scope's collections.

    Args:
        after: the token to start after; ``at``: the cluster time to start at; with neither, from now on.
        is_expanded: ask for what newer servers tell beyond the old events.
        is_slim: leave the documents out, for events that are too large with them.
    """
    options: dict[str, Any] = {"showExpandedEvents": True} if is_expanded else {}
    if at is not None:
        options["startAtOperationTime"] = Timestamp(*at)
    elif after is not None:
        # Unlike `resumeAfter`, this also starts after an invalidation.
        options["startAfter"] = after
    slimming = [{"$project": {"fullDocument": 0, "updateDescription": 0}}] if is_slim else []
    return [{"$changeStream": options}, {"$match": _wanted(scope)}, *slimming]


def _wanted(scope: SourceScope) -> dict[str, Any]:
    """A filter that costs the server little; what it passes is filtered here again."""
    operations = [name.decode() for name in OPERATIONS]
    if not (scope.include or scope.exclude):
        return {"operationType": {"$in": operations}}
    named = [name for name in operations if name not in _WHOLE_DATABASE]
    return {
        "$or": [
            {"operationType": {"$in": named}, **name_filter(scope, "ns.coll")},
            {"operationType": "rename", **name_filter(scope, "to.coll")},
            {"operationType": {"$in": list(_WHOLE_DATABASE)}},
        ]
    }
