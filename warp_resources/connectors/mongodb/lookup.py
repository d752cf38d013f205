"""Fetches the present state of documents that were updated, as far as there is room for it."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from itertools import islice

from bson.raw_bson import RawBSONDocument
from pymongo.errors import OperationFailure

from warp_resources.connectors.mongodb.commands import Cursor
from warp_resources.connectors.mongodb.connect import Client
from warp_resources.connectors.mongodb.decode import key_text
from warp_resources.connectors.mongodb.errors import OVERSIZED
from warp_resources.connectors.mongodb.identity import document_identity
from warp_resources.connectors.mongodb.originals import EXTENDED_JSON, primary_key
from warp_resources.connectors.mongodb.raw import ARRAY, DOCUMENT, KEY, Element, array_of, document
from warp_resources.connectors.mongodb.tokens import ClusterTime, read_concern
from warp_resources.model.batches import Flaw, Original

_KEYS_PER_QUERY = 10_000


class NoRoom(Exception):
    """The documents are larger than there is room for; read a shorter cut."""


class LookUp:
    """The look-ups of one cut, all as of ``not_before`` or later.

    Args:
        max_bytes: the room for all documents together; one alone may exceed it. None: no bound.
    """

    def __init__(self, client: Client, database: str, not_before: ClusterTime | None, max_bytes: int | None) -> None:
        self._client, self._database, self._not_before = client, database, not_before
        self._max_bytes = max_bytes
        self._found: dict[str, tuple[int, int]] = {}

    def row_bytes(self) -> dict[str, int]:
        """The mean size of the documents found, by collection."""
        return {collection: size // count for collection, (count, size) in self._found.items() if count}

    def documents(self, collection: str, keys: Mapping[Hashable, Element]) -> tuple[list[bytes], list[Flaw]]:
        """The raw documents of the keys.

        Args:
            keys: each key by its identity (see ``identity.identity_of``).

        Returns:
            The documents, without those that are gone, as a delete of theirs follows in the stream;
            and flaws for documents that are too large to be sent.

        Raises:
            NoRoom: the documents of this cut take more than ``max_bytes``.
        """
        documents: list[bytes] = []
        flaws: list[Flaw] = []
        remaining = iter(keys.values())
        while part := list(islice(remaining, _KEYS_PER_QUERY)):
            found, oversized = self._find_each(collection, part)
            documents += (raw for raw in found if document_identity(raw) in keys)
            flaws += map(_flaw, oversized)
        return documents, flaws

    def _find_each(self, collection: str, keys: list[Element]) -> tuple[list[bytes], list[Element]]:
        before = self._found.get(collection, (0, 0))
        try:
            return list(self._find(collection, keys)), []
        except OperationFailure as error:
            if error.code != OVERSIZED:
                raise
        # What came of them will come again.
        self._found[collection] = before
        if len(keys) == 1:
            return [], keys
        half = len(keys) // 2
        parts = [self._find_each(collection, part) for part in (keys[:half], keys[half:])]
        return [*parts[0][0], *parts[1][0]], [*parts[0][1], *parts[1][1]]

    def _find(self, collection: str, keys: list[Element]) -> Iterator[bytes]:
        among = Element(b"", ARRAY, array_of(keys)).named("$in")
        command = {
            "find": collection,
            "filter": RawBSONDocument(Element(b"", DOCUMENT, among).named(KEY)),
            # One more than there can be, so that the server closes the cursor at once.
            "batchSize": len(keys) + 1,
            "readConcern": read_concern(self._not_before),
        }
        with Cursor(self._client, self._database, command) as cursor:
            for page in cursor.pages():
                self._count(collection, page.documents)
                yield from page.documents

    def _count(self, collection: str, documents: list[bytes]) -> None:
        if not documents:
            return
        count, size = self._found.get(collection, (0, 0))
        self._found[collection] = count + len(documents), size + sum(map(len, documents))
        counts, sizes = zip(*self._found.values(), strict=True)
        if self._max_bytes is not None and sum(sizes) > self._max_bytes and sum(counts) > 1:
            raise NoRoom


def _flaw(key: Element) -> Flaw:
    raw = document(bytes((key.type,)) + KEY.encode() + b"\0" + key.value)
    text = primary_key(raw)
    return Flaw(Original(text, EXTENDED_JSON, text), "oversized", None, key_text(raw))
