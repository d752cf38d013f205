"""Fetches the present state of documents that were updated."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from itertools import islice

from bson.raw_bson import RawBSONDocument
from pymongo.errors import OperationFailure

from warp_resources.connectors.mongodb.commands import Cursor
from warp_resources.connectors.mongodb.connect import Client
from warp_resources.connectors.mongodb.decode import key_text
from warp_resources.connectors.mongodb.errors import OVERSIZED
from warp_resources.connectors.mongodb.events import identity_of
from warp_resources.connectors.mongodb.originals import EXTENDED_JSON, primary_key
from warp_resources.connectors.mongodb.raw import ARRAY, DOCUMENT, KEY, Element, array_of, document, key_of
from warp_resources.connectors.mongodb.tokens import ClusterTime, read_concern
from warp_resources.model.batches import Flaw, Original

_KEYS_PER_QUERY = 10_000


def look_up(
    client: Client, database: str, collection: str, keys: Mapping[Hashable, Element], not_before: ClusterTime
) -> tuple[list[bytes], list[Flaw]]:
    """The raw documents of the keys, as they are at ``not_before`` or later.

    Args:
        keys: each key by its identity (see ``events.identity_of``).

    Returns:
        The documents, without those that are gone, as a delete of theirs follows in the stream;
        and flaws for documents that are too large to be sent.
    """
    documents: list[bytes] = []
    flaws: list[Flaw] = []
    remaining = iter(keys.values())
    while part := list(islice(remaining, _KEYS_PER_QUERY)):
        found, oversized = _find_each(client, database, collection, part, not_before)
        documents += (raw for raw in found if _identity(raw) in keys)
        flaws += map(_flaw, oversized)
    return documents, flaws


def _find_each(
    client: Client, database: str, collection: str, keys: list[Element], not_before: ClusterTime
) -> tuple[list[bytes], list[Element]]:
    try:
        return list(_find(client, database, collection, keys, not_before)), []
    except OperationFailure as error:
        if error.code != OVERSIZED:
            raise
    if len(keys) == 1:
        return [], keys
    half = len(keys) // 2
    parts = [_find_each(client, database, collection, part, not_before) for part in (keys[:half], keys[half:])]
    return [*parts[0][0], *parts[1][0]], [*parts[0][1], *parts[1][1]]


def _find(
    client: Client, database: str, collection: str, keys: list[Element], not_before: ClusterTime
) -> Iterator[bytes]:
    among = Element(b"", ARRAY, array_of(keys)).named("$in")
    command = {
        "find": collection,
        "filter": RawBSONDocument(Element(b"", DOCUMENT, among).named(KEY)),
        # One more than there can be, so that the server closes the cursor at once.
        "batchSize": len(keys) + 1,
        "readConcern": read_concern(not_before),
    }
    with Cursor(client, database, command) as cursor:
        for page in cursor.pages():
            yield from page.documents


def _identity(raw: bytes) -> Hashable:
    key = key_of(raw)
    return None if key is None else identity_of(key)


def _flaw(key: Element) -> Flaw:
    raw = document(bytes((key.type,)) + KEY.encode() + b"\0" + key.value)
    text = primary_key(raw)
    return Flaw(Original(text, EXTENDED_JSON, text), "oversized", None, key_text(raw))
