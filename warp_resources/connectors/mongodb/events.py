"""Makes sense of one raw change event, decoding no more of it than the envelope."""

from __future__ import annotations

import math
import struct
from collections.abc import Hashable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import lru_cache

import bson
from bson import Decimal128

from warp_resources.connectors.mongodb.raw import Element, key_of, values
from warp_resources.connectors.mongodb.tokens import ClusterTime

_PAIR, _INT64, _DOUBLE = struct.Struct("<II"), struct.Struct("<q"), struct.Struct("<d")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Effect(Enum):
    """What an event does to its key or table."""

    STORED = "stored"
    CHANGED = "changed"
    DELETED = "deleted"
    DROPPED = "dropped"
    RENAMED = "renamed"
    DATABASE_DROPPED = "database dropped"
    NONE = "none"


OPERATIONS = {
    b"insert": Effect.STORED,
    b"replace": Effect.STORED,
    b"update": Effect.CHANGED,
    b"delete": Effect.DELETED,
    b"drop": Effect.DROPPED,
    b"rename": Effect.RENAMED,
    b"dropDatabase": Effect.DATABASE_DROPPED,
    b"invalidate": Effect.NONE,
}
"""The operations that are asked for, by name."""

TABLE_EFFECTS = frozenset({Effect.DROPPED, Effect.RENAMED, Effect.DATABASE_DROPPED})


@dataclass(slots=True)
class Event:
    """One change: ``document`` is the whole new document where the event brings it.

    ``identity`` is equal for equal keys; ``transaction`` is equal within one transaction, None outside.
    """

    effect: Effect
    collection: str
    time: ClusterTime
    token: bytes
    size: int
    transaction: bytes | None
    wall: bytes | None
    key: Element | None = None
    identity: Hashable = None
    document: bytes | None = None
    new_name: str = ""

    @property
    def occurred_at(self) -> datetime:
        """When it happened by the source's clock."""
        if self.wall is not None:
            return _EPOCH + timedelta(milliseconds=_INT64.unpack(self.wall)[0])
        return _EPOCH + timedelta(seconds=self.time[0])


def read_event(raw: bytes) -> Event:
    """The event that a raw document of a change stream holds."""
    fields = values(raw)
    increment, seconds = _PAIR.unpack(fields[b"clusterTime"])
    lsid = fields.get(b"lsid")
    event = Event(
        OPERATIONS.get(fields[b"operationType"][4:-1], Effect.NONE),
        _name(fields.get(b"ns")),
        (seconds, increment),
        fields[b"_id"],
        len(raw),
        None if lsid is None else lsid + fields.get(b"txnNumber", b""),
        fields.get(b"wallTime"),
        document=fields.get(b"fullDocument"),
    )
    if b"documentKey" in fields:
        event.key = key_of(fields[b"documentKey"])
        event.identity = None if event.key is None else identity_of(event.key)
    if event.effect is Effect.RENAMED:
        event.new_name = _name(fields.get(b"to"))
    return event


def identity_of(key: Element) -> Hashable:
    """A value that is equal for keys that MongoDB holds equal; numbers are so by value."""
    if key.type in (0x10, 0x12):
        return int.from_bytes(key.value, "little", signed=True)
    if key.type == 0x01:
        number: float = _DOUBLE.unpack(key.value)[0]
        return "NaN" if math.isnan(number) else number
    if key.type == 0x13:
        decimal = Decimal128.from_bid(key.value).to_decimal()
        return "NaN" if decimal.is_nan() else decimal
    return bytes((key.type,)) + key.value


@lru_cache(maxsize=4096)
def _name(namespace: bytes | None) -> str:
    if namespace is None:
        return ""
    name: str = bson.decode(namespace).get("coll", "")
    return name
