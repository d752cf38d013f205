"""Turns the events of a cut into batches: the last state of each key, looked up where needed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

from warp_resources.connectors.interfaces import SourceScope
from warp_resources.connectors.mongodb.decode import decode, decode_keys
from warp_resources.connectors.mongodb.events import TABLE_EFFECTS, Effect, Event
from warp_resources.connectors.mongodb.lookup import LookUp
from warp_resources.connectors.mongodb.raw import KEY, Element
from warp_resources.connectors.mongodb.scope import is_in_scope
from warp_resources.model.batches import Flaw, TableBatch, TableEvent, TableEventKind
from warp_resources.model.tables import TableId

_KINDS = {
    Effect.DROPPED: TableEventKind.DROPPED,
    Effect.RENAMED: TableEventKind.RENAMED,
    Effect.DATABASE_DROPPED: TableEventKind.DATABASE_DROPPED,
}


@dataclass(frozen=True, slots=True)
class _State:
    """What a cut makes of a collection: documents as they are now, and keys that are gone."""

    collection: str
    documents: list[bytes]
    gone: list[Element]
    flaws: list[Flaw]


def table_batches(scope: SourceScope, events: Sequence[Event], look_up: LookUp) -> tuple[TableBatch, ...]:
    """One batch per collection that the events touch.

    Raises:
        NoRoom: see ``LookUp.documents``.
    """
    # All documents first: what has been decoded takes room too.
    states = [_state(collection, last, look_up) for collection, last in _last_events(scope, events).items()]
    return tuple(batch for state in states if (batch := _batch(scope, state)) is not None)


def table_events(scope: SourceScope, events: Sequence[Event]) -> tuple[TableEvent, ...]:
    """What happened to whole tables of the scope; a dropped database has the empty table name."""
    return tuple(told for event in events if event.effect in TABLE_EFFECTS for told in _told(scope, event))


def _told(scope: SourceScope, event: Event) -> Iterator[TableEvent]:
    kind, schema = _KINDS[event.effect], scope.schema
    if event.effect is Effect.DATABASE_DROPPED:
        yield TableEvent(kind, TableId(schema, ""), f"database {scope.database} was dropped")
    elif is_in_scope(scope, event.collection):
        detail = f"it is now called {event.new_name}" if event.new_name else ""
        yield TableEvent(kind, TableId(schema, event.collection), detail)
    if event.new_name and is_in_scope(scope, event.new_name):
        detail = f"{event.collection} took this name, with all its rows"
        yield TableEvent(TableEventKind.REPLACED, TableId(schema, event.new_name), detail)


def _last_events(scope: SourceScope, events: Sequence[Event]) -> dict[str, dict[Hashable, Event]]:
    last: defaultdict[str, dict[Hashable, Event]] = defaultdict(dict)
    for event in events:
        if event.key is not None:
            last[event.collection][event.identity] = event
    return {collection: events for collection, events in last.items() if is_in_scope(scope, collection)}


def _state(collection: str, last: dict[Hashable, Event], look_up: LookUp) -> _State:
    stored = [event.document for event in last.values() if event.document is not None]
    gone = [event.key for event in last.values() if event.effect is Effect.DELETED and event.key is not None]
    unknown = {identity: event.key for identity, event in last.items() if event.needs_look_up and event.key is not None}
    found, flaws = look_up.documents(collection, unknown)
    return _State(collection, [*stored, *found], gone, flaws)


def _batch(scope: SourceScope, state: _State) -> TableBatch | None:
    deletes, delete_count = decode_keys([key.named(KEY) for key in state.gone])
    if not state.documents and not delete_count and not state.flaws:
        return None
    return decode(
        TableId(scope.schema, state.collection),
        state.documents,
        deletes,
        delete_count,
        state.flaws,
        extended=scope.is_extended(state.collection),
    )
