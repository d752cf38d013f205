"""Reads the rows of a collection by a marker field, such as the time of their last update."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from bson import DatetimeMS

from warp_resources.connectors.interfaces import MarkedRange, ReadLimits
from warp_resources.connectors.mongodb.commands import Cursor
from warp_resources.connectors.mongodb.connect import Client
from warp_resources.connectors.mongodb.decode import decode
from warp_resources.connectors.mongodb.identity import document_identity
from warp_resources.connectors.mongodb.snapshot import collection_size, row_limit, within
from warp_resources.connectors.mongodb.tokens import read_concern
from warp_resources.model.batches import TableBatch
from warp_resources.model.tables import TableId

_EPOCH, _MILLISECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(milliseconds=1)
_ARRAY, _DATE = 4, 9
# Every BSON type but date and null.
_UNMARKED_TYPES = [1, 2, 3, _ARRAY, 5, 6, 7, 8, 11, 12, 13, 14, 15, 16, 17, 18, 19, -1, 127]


def read_marked(
    client: Client,
    database: str,
    table: TableId,
    marked: MarkedRange,
    limits: ReadLimits,
    *,
    extended: bool = False,
) -> Iterator[TableBatch]:
    """The rows of a marker's range, in batches within the limits, as committed by a majority."""
    batch_size = row_limit(limits, collection_size(client, database, table.name))
    command = {
        "find": table.name,
        "filter": marked_filter(marked),
        "batchSize": batch_size,
        "readConcern": read_concern(None),
    }
    with Cursor(client, database, command) as cursor:
        for page in cursor.pages(batch_size):
            remaining = last_of_each_key(page.documents)
            while remaining:
                part = within(remaining, limits.max_bytes)
                remaining = remaining[len(part) :]
                yield decode(table, part, extended=extended)


def last_of_each_key(documents: list[bytes]) -> list[bytes]:
    """The documents without earlier states of their keys: a scan meets a row again whose marker has moved on."""
    return list({document_identity(raw): raw for raw in documents}.values())


def marked_filter(marked: MarkedRange) -> dict[str, Any]:
    """The query of a range; an index on the marker serves each of its branches."""
    column = marked.column
    if marked.unmarked and marked.since is None and marked.until is None:
        return {}
    bounds: dict[str, Any] = {"$type": _DATE, "$not": {"$type": _ARRAY}}
    if marked.since is not None:
        bounds["$gte"] = _ceiling(marked.since)
    if marked.until is not None:
        bounds["$lt"] = _ceiling(marked.until)
    if not marked.unmarked:
        return {column: bounds}
    return {"$or": [{column: bounds}, {column: None}, {column: {"$type": _UNMARKED_TYPES}}]}


def _ceiling(moment: datetime) -> DatetimeMS:
    # The first date that is not before: BSON has milliseconds, and the driver would cut the rest off.
    return DatetimeMS(-((_EPOCH - moment) // _MILLISECOND))
