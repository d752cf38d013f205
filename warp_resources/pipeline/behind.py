"""Finds the keys whose changes a stream has yet to bring, waiting for a stream that runs."""

from __future__ import annotations

import time
from contextlib import closing
from datetime import timedelta

from warp_resources.errors import OperatorError
from warp_resources.model.positions import Position, stream_lease
from warp_resources.model.tables import TableId
from warp_resources.pipeline.arrival import seconds_to_arrive
from warp_resources.pipeline.engine import STREAM
from warp_resources.pipeline.options import open_state
from warp_resources.pipeline.sides import Sides, narrowed

ARRIVAL = timedelta(seconds=20)
"""What a stream that runs may take to arrive at the log's end; an idle one saves its place every five seconds."""
PATIENCE_SECONDS = 120.0
POLL = timedelta(milliseconds=200)


def keys_behind(sides: Sides, table: TableId) -> frozenset[str]:
    """The keys, as text, of changes that are in the log by now and not in the destination.

    Where nobody streams, or a stream does not arrive in time, the log itself is read. A batch table has no log:
    what changed since its last sync is different.

    Raises:
        OperatorError: there is more of the log to read than can be waited for.
        HistoryLost: the log no longer has it.
    """
    if sides.unit.mode != STREAM:
        return frozenset()
    state = sides.destination.table_states(table.schema).get(table.name)
    aside = state.aside_position if state is not None else None
    if aside is None and _arrives(sides):
        return frozenset()
    stream = sides.destination.stream_state(table.schema)
    position = aside or (stream.position if stream is not None else None)
    return frozenset() if position is None else _changed_since(sides, table, position)


def keys_moved(sides: Sides, table: TableId, position: Position | None) -> frozenset[str]:
    """The keys, as text, of all changes in the log since a position of the stream; none of a table without a log.

    Raises:
        OperatorError: there is more of the log to read than can be waited for.
    """
    if sides.unit.mode != STREAM or position is None:
        return frozenset()
    return _changed_since(sides, table, position)


def _arrives(sides: Sides) -> bool:
    """Whether somebody streams, and is in time."""
    with closing(open_state(sides.unit.config, sides.destination)) as store:
        if store.lease_holder(stream_lease(sides.unit.schema)) is None:
            return False
        return seconds_to_arrive(sides.source, sides.destination, store, sides.scope, ARRIVAL, sides.stop) is not None


def _changed_since(sides: Sides, table: TableId, position: Position) -> frozenset[str]:
    alone = narrowed(sides.scope, table.name)
    target = sides.source.log_end(sides.scope)
    keys: set[str] = set()
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    with closing(sides.source.stream(alone, position)) as stream:
        while not sides.source.is_reached(position, target) and not sides.stop.is_set():
            changes = stream.next(sides.limits(table.name), POLL)
            if changes is not None:
                position = changes.position
                for batch in changes.tables:
                    part = sides.writer.fitted(batch)
                    keys.update(part.row_keys().to_pylist(), part.delete_keys().to_pylist())
            if time.monotonic() > give_up_at:
                raise OperatorError(
                    "The stream is too far behind to compare: it is not known what it has yet to bring",
                    remedy=f"Let it catch up first: cartridge-warp run --once --schema {table.schema}",
                    table=table,
                )
    return frozenset(keys)
