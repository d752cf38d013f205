"""Reads the time out of a resume token, and makes and compares the positions of a change stream.

A token is the hexadecimal form of a sort key that begins with the operation's cluster time.
Source: MongoDB's src/mongo/db/pipeline/resume_token.h and src/mongo/db/storage/key_string.h
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, TypeAlias

from bson import json_util
from bson.timestamp import Timestamp

from warp_resources.connectors.mongodb.originals import CANONICAL
from warp_resources.errors import OperatorError
from warp_resources.model.positions import Position

ClusterTime: TypeAlias = tuple[int, int]

_TIMESTAMP_TAG = "82"
# After the time come the version (two bytes) and the token's type, a number: 0 for a high-water mark.
_TOKEN_TYPE, _NO_EVENT = slice(22, 24), "29"
_LARGEST_INCREMENT = 2**32 - 1
_READABLE = re.compile(f"{_TIMESTAMP_TAG}[0-9A-Fa-f]{{16,}}")


def token_time(token: Mapping[str, Any]) -> ClusterTime:
    """The cluster time that a resume token points at."""
    text = token.get("_data")
    if not isinstance(text, str) or not text.startswith(_TIMESTAMP_TAG) or len(text) < 18:
        raise OperatorError(
            "MongoDB gave a resume token of an unknown form", remedy="Report it with the server's version"
        )
    return int(text[2:10], 16), int(text[10:18], 16)


def tick_before(time: ClusterTime) -> ClusterTime:
    """The last cluster time before this one."""
    seconds, increment = time
    return (seconds, increment - 1) if increment else (seconds - 1, _LARGEST_INCREMENT)


def position_of(token: Mapping[str, Any], seen: ClusterTime) -> Position:
    """A position: where to resume, and the cluster time up to which everything has been delivered."""
    # A token may hold binary, such as the number types of a key.
    return {"token": json.loads(json_util.dumps(token, json_options=CANONICAL)), "time": list(seen)}


def token_of(position: Position) -> dict[str, Any]:
    """The resume token of a position."""
    try:
        token = json_util.loads(json.dumps(position.get("token")), json_options=CANONICAL)
    except (TypeError, ValueError):
        token = None
    if not isinstance(token, dict) or not _READABLE.fullmatch(str(token.get("_data"))):
        raise OperatorError(
            "The position is not one of a MongoDB change stream: it has no resume token that can be read",
            remedy="To start at the oplog's end and read every table again: cartridge-warp markers set <schema> now",
        )
    return token


def seen_time(position: Position) -> ClusterTime:
    """The cluster time up to which everything has been delivered."""
    time = position.get("time")
    if isinstance(time, list | tuple) and len(time) == 2 and all(isinstance(part, int) for part in time):
        return int(time[0]), int(time[1])
    return tick_before(token_time(token_of(position)))


def sort_key(position: Position) -> str:
    """What sorts the positions of one deployment by what a stream there has delivered.

    A token is a sort key in hexadecimal, which the server itself compares as text; one that names no event
    sorts before the events of its time.
    """
    return str(token_of(position)["_data"]).upper()


def applied_time(position: Position) -> ClusterTime:
    """The cluster time that a read must have reached to show every change that was delivered."""
    return proved_time(token_of(position))


def proved_time(token: Mapping[str, Any]) -> ClusterTime:
    """The last cluster time that a token shows to have been.

    A token that names no event sorts before every event of its time, and may lie one tick ahead of
    the server's clock: a read that asks for that time is refused, and the next write may have it.
    """
    is_event = token.get("_data", "")[_TOKEN_TYPE] != _NO_EVENT
    return token_time(token) if is_event else tick_before(token_time(token))


def read_concern(not_before: ClusterTime | None) -> dict[str, Any]:
    """Majority-committed data, no older than a cluster time."""
    if not_before is None:
        return {"level": "majority"}
    return {"level": "majority", "afterClusterTime": Timestamp(*not_before)}
