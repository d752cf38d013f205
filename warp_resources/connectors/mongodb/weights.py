"""Foretells how many bytes an event will cost: its own, and those of a document that has to be looked up."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping

from warp_resources.connectors.interfaces import SourceScope
from warp_resources.connectors.mongodb.connect import Client
from warp_resources.connectors.mongodb.events import Event
from warp_resources.connectors.mongodb.scope import is_in_scope
from warp_resources.connectors.mongodb.snapshot import collection_size


class Weights:
    """The size of a collection's documents: at first as the server has it, then as the last look-up found."""

    def __init__(self, client: Client, scope: SourceScope) -> None:
        self._client, self._scope = client, scope
        self._row_bytes: dict[str, int] = {}

    def weighing(self) -> Callable[[Event], int]:
        """What weighs the events of one cut, in order: each key is looked up once."""
        looked_up: set[tuple[str, Hashable]] = set()

        def weigh(event: Event) -> int:
            if not event.needs_look_up:
                return event.size
            key = (event.collection, event.identity)
            if key in looked_up:
                return event.size
            looked_up.add(key)
            return event.size + self._of(event.collection)

        return weigh

    def learn(self, row_bytes: Mapping[str, int]) -> None:
        """Foretell what was found last, by collection."""
        self._row_bytes.update(row_bytes)

    def raise_to(self, row_bytes: Mapping[str, int], caution: int) -> None:
        """Foretell at least ``caution`` times of what was found."""
        for collection, size in row_bytes.items():
            self._row_bytes[collection] = max(self._of(collection), caution * size)

    def _of(self, collection: str) -> int:
        if collection not in self._row_bytes:
            self._row_bytes[collection] = self._average(collection) if is_in_scope(self._scope, collection) else 0
        return self._row_bytes[collection]

    def _average(self, collection: str) -> int:
        size = collection_size(self._client, self._scope.database, collection)
        return size.bytes // max(1, size.rows)
