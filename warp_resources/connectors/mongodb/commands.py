"""Runs reading commands and returns their documents raw.

Raw commands, since the driver's cursors hide the resume tokens of empty batches and its raw cursors
cost as much again as the whole transfer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import bson
from bson.codec_options import CodecOptions
from bson.int64 import Int64
from bson.raw_bson import RawBSONDocument
from bson.timestamp import Timestamp
from pymongo import MongoClient
from pymongo.client_session import ClientSession
from pymongo.errors import ConnectionFailure, PyMongoError

from warp_resources.connectors.mongodb.raw import Element, array_documents, elements
from warp_resources.connectors.mongodb.tokens import ClusterTime

_RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)


@dataclass(frozen=True, slots=True)
class Page:
    """One answer of a cursor: its documents, and its number, 0 where it is at its end.

    ``committed_at``: the cluster time up to which a majority had committed when the server answered.
    """

    documents: list[bytes]
    cursor_id: int
    resume_token: dict[str, Any] | None
    committed_at: ClusterTime


class Cursor:
    """A server's cursor, read page by page in a session of its own; a context manager."""

    def __init__(self, client: MongoClient[dict[str, Any]], database: str, command: Mapping[str, Any]) -> None:
        self._database = client[database]
        # An explicit session: a cursor answers only to the one that opened it.
        self._session: ClientSession = client.start_session(causal_consistency=False)
        self._collection = str(command.get("find") or "$cmd.aggregate")
        if isinstance(command.get("aggregate"), str):
            self._collection = command["aggregate"]
        self._id = 0
        try:
            self.first = self._run(command)
        except BaseException:
            self._session.end_session()
            raise

    def __enter__(self) -> Cursor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def is_open(self) -> bool:
        return self._id != 0

    def more(self, batch_size: int | None = None, max_time_ms: int | None = None) -> Page:
        """The next page; of a change stream, waits at most ``max_time_ms`` for it."""
        command: dict[str, Any] = {"getMore": Int64(self._id), "collection": self._collection}
        if batch_size is not None:
            command["batchSize"] = batch_size
        if max_time_ms is not None:
            command["maxTimeMS"] = max_time_ms
        return self._run(command)

    def pages(self, batch_size: int | None = None) -> Iterator[Page]:
        """All pages, the first included; those after it of at most ``batch_size`` documents."""
        yield self.first
        while self.is_open:
            yield self.more(batch_size)

    def close(self) -> None:
        """Give up the cursor; safe to repeat."""
        cursor_id, self._id = self._id, 0
        try:
            if cursor_id:
                killing = {"killCursors": self._collection, "cursors": [Int64(cursor_id)]}
                self._database.command(killing, session=self._session)
        except PyMongoError:
            # The server forgets an idle cursor by itself.
            pass
        finally:
            self._session.end_session()

    def _run(self, command: Mapping[str, Any]) -> Page:
        try:
            reply = self._database.command(dict(command), codec_options=_RAW, session=self._session)
        except ConnectionFailure:
            # Whoever is to be told to give the cursor up would be waited for.
            self._id = 0
            raise
        page = _page(bytes(reply["cursor"].raw), reply.get("operationTime"))
        self._id = page.cursor_id
        return page


def _page(cursor: bytes, at: Timestamp | None) -> Page:
    fields = {field.name: field for field in elements(cursor)}
    batch = fields.get(b"nextBatch") or fields[b"firstBatch"]
    token = fields.get(b"postBatchResumeToken")
    resume_token = bson.decode(token.value) if token else None
    # A server that is no replica set tells no time.
    committed_at = (at.time, at.inc) if at is not None else (0, 0)
    return Page(array_documents(batch.value), _integer(fields[b"id"]), resume_token, committed_at)


def _integer(field: Element) -> int:
    return int.from_bytes(field.value, "little", signed=True)
