"""Turns the events of a cut into batches: the last state of each key, looked up where needed."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence

from warp_resources.connectors.interfaces import SourceScope
from warp_resources.connectors.mongodb.connect import Client
from warp_resources.connectors.mongodb.decode import decode, decode_keys
from warp_resources.connectors.mongodb.events import TABLE_EFFECTS, Effect, Event
from warp_resources.connectors.mongodb.lookup import look_up
from warp_resources.connectors.mongodb.raw import KEY
from warp_resources.connectors.mongodb.scope import is_in_scope
from warp_resources.connectors.mongodb.tokens import ClusterTime
from warp_resources.model.batches import TableBatch, TableEvent, TableEventKind
from warp_resources.model.tables import TableId

_KINDS = {
    Effect.DROPPED: TableEventKind.DROPPED,
    Effect.RENAMED: TableEventKind.RENAMED,
    Effect.DATABASE_DROPPED: TableEventKind.DATABASE_DROPPED,
}


def table_batches(client: Client, scope: SourceScope, events: Sequence[Event]) -> tuple[TableBatch, ...]:
    """One batch per collection that the events touch, read no earlier than the last event."""
    return tuple(
        batch
        for collection, last in _last_events(scope, events).items()
        if (batch := _batch(client, scope, collection, last, events[-1].time)) is not None
    )


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
        yield TableEvent(kind, TableId(schema, event.new_name), f"{event.collection} took this name, with all its rows")


def _last_events(scope: SourceScope, events: Sequence[Event]) -> dict[str, dict[Hashable, Event]]:
    last: dict[str, dict[Hashable, Event]] = {}
    for event in events:
        if event.key is not None and is_in_scope(scope, event.collection):
            last.setdefault(event.collection, {})[event.identity] = event
    return last


def _batch(
    client: Client, scope: SourceScope, collection: str, last: dict[Hashable, Event], not_before: ClusterTime
) -> TableBatch | None:
    stored = [event.document for event in last.values() if event.document is not None]
    gone = [event for event in last.values() if event.effect is Effect.DELETED]
    unknown = {
        identity: event.key
        for identity, event in last.items()
        if event.key is not None and event.document is None and event.effect is not Effect.DELETED
    }
    found, flaws = look_up(client, scope.database, collection, unknown, not_before)
    documents = [*stored, *found]
    deletes, delete_count = decode_keys([event.key.named(KEY) for event in gone if event.key is not None])
    if not documents and not delete_count and not flaws:
        return None
    return decode(TableId(scope.schema, collection), documents, deletes, delete_count, flaws)
