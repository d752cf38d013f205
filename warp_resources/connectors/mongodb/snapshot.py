"""Reads a collection in key order: plans its slices, and yields one chunk of a slice at a time."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from bson import MaxKey
from pymongo.errors import OperationFailure

from warp_resources.connectors.interfaces import ReadLimits
from warp_resources.connectors.mongodb.bounds import at_bound, beside_bound, bound_text
from warp_resources.connectors.mongodb.commands import Cursor
from warp_resources.connectors.mongodb.connect import Client
from warp_resources.connectors.mongodb.decode import decode
from warp_resources.connectors.mongodb.errors import NAMESPACE_NOT_FOUND
from warp_resources.connectors.mongodb.raw import KEY
from warp_resources.connectors.mongodb.tokens import ClusterTime, read_concern
from warp_resources.model.batches import Chunk
from warp_resources.model.positions import KeyRange
from warp_resources.model.tables import TableId

_FEWEST_SAMPLES, _MOST_SAMPLES, _ROWS_PER_SLICE = 50, 300, 200
_ROWS_PER_SAMPLE = 25
"""Of more than one row in twenty the server takes no samples but reads them all."""
_CHUNK_ROWS, _CHUNK_BYTES = 32_000, 8_000_000
_DEFAULT_ROW_BYTES = 1_000


@dataclass(frozen=True, slots=True)
class Size:
    """How much a collection holds, by the server's estimate."""

    rows: int
    bytes: int


def plan(client: Client, database: str, collection: str, slice_count: int) -> list[KeyRange]:
    """Ranges of about the same number of keys; a small collection gets fewer."""
    size = collection_size(client, database, collection)
    count = min(slice_count, size.rows // _ROWS_PER_SLICE)
    if count < 2:
        return [KeyRange()]
    keys = _sampled_keys(client, database, collection, _sample_size(size.rows, count))
    cuts = [keys[len(keys) * part // count] for part in range(1, count)] if keys else []
    bounds = [None, *dict.fromkeys(map(bound_text, cuts)), None]
    return [KeyRange(lower, upper) for lower, upper in pairwise(bounds)]


def read_chunk(
    client: Client,
    database: str,
    table: TableId,
    key_range: KeyRange,
    resume: str | None,
    limits: ReadLimits,
    not_before: ClusterTime | None,
    *,
    extended: bool = False,
) -> Chunk:
    """The next rows of a slice; the row at the resume bound itself is not read again."""
    limit = row_limit(limits, collection_size(client, database, table.name))
    concern = {"readConcern": read_concern(not_before)}
    command = {**_range_command(table.name, key_range, resume), "limit": limit, "batchSize": limit, **concern}
    with Cursor(client, database, command) as cursor:
        found = cursor.first.documents
        # An answer ends at 16 MB, whatever its limit.
        is_last = len(found) < limit and not cursor.is_open
    if is_last and "min" in command and "max" not in command:
        found += _at_max_key(client, database, {**command, "limit": 1, "batchSize": 1})
    documents = within(found, min(limits.max_bytes, _CHUNK_BYTES))
    reached = bound_text(documents[-1]) if documents else resume
    is_gone = not documents and not client[database].list_collection_names(filter={"name": table.name})
    is_last = is_last and len(documents) == len(found)
    return Chunk(decode(table, documents, extended=extended), reached, is_last, is_gone)


def collection_size(client: Client, database: str, collection: str) -> Size:
    """The server's own estimate of a collection's size; zero where it does not exist."""
    pipeline: list[dict[str, Any]] = [{"$collStats": {"count": {}, "storageStats": {}}}]
    try:
        parts = list(client[database][collection].aggregate(pipeline))
    except OperationFailure as error:
        if error.code != NAMESPACE_NOT_FOUND:
            raise
        parts = []
    # A sharded collection answers once per shard.
    return Size(sum(part["count"] for part in parts), sum(int(part["storageStats"]["size"]) for part in parts))


def _range_command(collection: str, key_range: KeyRange, resume: str | None) -> dict[str, Any]:
    command: dict[str, Any] = {"find": collection, "hint": {KEY: 1}}
    lower = resume if resume is not None else key_range.lower
    # Index bounds, since `$gte` and `$lt` find values of the bound's own type only.
    if lower is not None:
        command["min"] = at_bound(lower)
    if key_range.upper is not None:
        command["max"] = at_bound(key_range.upper)
    if resume is not None:
        command["filter"] = beside_bound(resume)
    return command


def _at_max_key(client: Client, database: str, command: dict[str, Any]) -> list[bytes]:
    # `min` without `max` stops short of the key MaxKey (seen with 6.0).
    filters = [{KEY: MaxKey()}, *([command["filter"]] if "filter" in command else [])]
    alone = {name: part for name, part in command.items() if name != "min"}
    with Cursor(client, database, {**alone, "filter": {"$and": filters}}) as cursor:
        return cursor.first.documents


def _sample_size(rows: int, slices: int) -> int:
    """As many keys as make even slices, but few enough for the server to pick them instead of reading all."""
    return min(slices * _MOST_SAMPLES, max(slices * _FEWEST_SAMPLES, rows // _ROWS_PER_SAMPLE))


def _sampled_keys(client: Client, database: str, collection: str, count: int) -> list[bytes]:
    pipeline = [{"$sample": {"size": count}}, {"$project": {KEY: 1}}, {"$sort": {KEY: 1}}]
    command = {"aggregate": collection, "pipeline": pipeline, "cursor": {}, "readConcern": read_concern(None)}
    with Cursor(client, database, command) as cursor:
        return [document for page in cursor.pages() for document in page.documents]


def row_limit(limits: ReadLimits, size: Size) -> int:
    """How many rows of a collection to ask for at once, given their size on average."""
    row_bytes = max(1, size.bytes // size.rows) if size.rows else _DEFAULT_ROW_BYTES
    fitting = max(1, min(limits.max_bytes, _CHUNK_BYTES) // row_bytes)
    return max(1, min(fitting, _CHUNK_ROWS if limits.max_rows is None else limits.max_rows))


def within(documents: list[bytes], max_bytes: int) -> list[bytes]:
    """The first documents of at most ``max_bytes`` in all, but one at least."""
    if sum(map(len, documents)) <= max_bytes:
        return documents
    total = 0
    for count, raw in enumerate(documents):
        total += len(raw)
        if total > max_bytes and count:
            return documents[:count]
    return documents
