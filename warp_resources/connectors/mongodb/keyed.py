"""Reads the present rows of given keys, each key named by its text."""

from __future__ import annotations

import base64
from collections.abc import Hashable, Sequence
from typing import Any

import bson
from bson import Int64, json_util
from bson.errors import BSONError

from warp_resources.connectors.mongodb.connect import Client
from warp_resources.connectors.mongodb.decode import decode, decode_keys
from warp_resources.connectors.mongodb.identity import document_identity, identity_of
from warp_resources.connectors.mongodb.lookup import LookUp
from warp_resources.connectors.mongodb.originals import CANONICAL, primary_key
from warp_resources.connectors.mongodb.raw import KEY, Element, key_of
from warp_resources.connectors.mongodb.tokens import ClusterTime
from warp_resources.errors import OperatorError
from warp_resources.model.batches import TableBatch
from warp_resources.model.tables import TableId

_RAW = "$bson"
_SMALLEST, _LARGEST = -(2**63), 2**63 - 1


def read_keys(
    client: Client,
    database: str,
    table: TableId,
    keys: Sequence[str],
    not_before: ClusterTime | None,
    *,
    extended: bool = False,
) -> TableBatch:
    """The documents of the keys as a majority has committed them, and as deletes the keys that have none."""
    wanted: dict[Hashable, Element] = {identity_of(key): key for key in map(_element_of, keys)}
    documents, flaws = LookUp(client, database, not_before, None).documents(table.name, wanted)
    present = {document_identity(raw) for raw in documents}
    oversized = {flaw.original.primary_key for flaw in flaws}
    absent = [key.named(KEY) for identity, key in wanted.items() if identity not in present]
    deletes, delete_count = decode_keys([raw for raw in absent if primary_key(raw) not in oversized])
    return decode(table, documents, deletes, delete_count, flaws, extended=extended)


def _element_of(text: str) -> Element:
    """The value that a key's text stands for, as BSON has it."""
    try:
        value = json_util.loads(text, json_options=CANONICAL)[KEY]
        if isinstance(value, dict) and value.keys() == {_RAW}:
            return _element(base64.b64decode(value[_RAW], validate=True))
        return _element(bson.encode({KEY: _number(value) if _is_number(value) else value}))
    except (ValueError, TypeError, KeyError, OverflowError, BSONError) as error:
        raise OperatorError("A key cannot be read", remedy="Report it with the key's type") from error


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(value: int | float) -> Int64 | float:
    """The number in the type whose text it is; equal ones of other types are found by it too."""
    # Compared, since the driver's integers would be looked for in a range one by one.
    is_integer = isinstance(value, int) and _SMALLEST <= value <= _LARGEST
    return Int64(value) if is_integer else float(value)


def _element(raw: bytes) -> Element:
    key = key_of(raw)
    if key is None:
        raise ValueError("no key")
    return key
