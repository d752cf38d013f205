"""Asks a member how far back its oplog goes; no entry of it is read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from bson.timestamp import Timestamp
from pymongo.errors import OperationFailure

from warp_resources.connectors.interfaces import LogWindow
from warp_resources.connectors.mongodb.connect import Client
from warp_resources.connectors.mongodb.errors import NAMESPACE_NOT_FOUND, UNAUTHORIZED
from warp_resources.errors import OperatorError

FULL_SHARE = 0.8
"""The server cuts the oplog by tenths of its room and more, so that a full one is often a little below it."""

_OPLOG = "oplog.rs"
# What `serverStatus` tells by default, costs the server something, and is of no interest here.
_LEFT_OUT = (
    *("asserts", "catalogStats", "connections", "flowControl", "globalLock", "indexBulkBuilder", "indexStats"),
    *("locks", "logicalSessionRecordCache", "metrics", "network", "opLatencies", "opcounters", "repl", "sharding"),
    *("storageEngine", "tcmalloc", "transactions", "transportSecurity", "wiredTiger"),
)
_GRANT = (
    'In mongosh, on the database that knows the user: db.grantRolesToUser("<user>", [{role: "clusterMonitor", '
    'db: "admin"}]); or a role of your own with serverStatus on {cluster: true} and collStats on '
    '{db: "local", collection: "oplog.rs"}'
)


def log_window(client: Client, address: str) -> LogWindow | None:
    """The window of the oplog of the member that answers; None of a server that has none, such as a router.

    Raises:
        OperatorError: the user may not ask.
    """
    asked = {"serverStatus": 1, "oplog": 1, **dict.fromkeys(_LEFT_OUT, 0)}
    try:
        times: dict[str, Any] = client.admin.command(asked).get("oplog") or {}
        sizes: dict[str, Any] = client.local.command("collStats", _OPLOG)
    except OperationFailure as error:
        if error.code == NAMESPACE_NOT_FOUND:
            return None
        if error.code != UNAUTHORIZED:
            raise
        raise OperatorError(
            "The MongoDB user may not ask how far back the oplog goes", remedy=_GRANT, server=address
        ) from error
    oldest, newest = times.get("earliestOptime"), times.get("latestOptime")
    if not isinstance(oldest, Timestamp) or not isinstance(newest, Timestamp) or not sizes.get("maxSize"):
        return None
    room = int(sizes["maxSize"])
    return LogWindow(
        oldest=_time(oldest),
        newest=_time(newest),
        is_full=int(sizes.get("size", 0)) >= FULL_SHARE * room,
        remedy=f"Give the oplog more room than its {max(1, round(room / 2**20))} MB, on each member: "
        "db.adminCommand({replSetResizeOplog: 1, size: <megabytes>})",
    )


def _time(at: Timestamp) -> datetime:
    return datetime.fromtimestamp(at.time, UTC)
