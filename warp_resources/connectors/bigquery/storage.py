"""Reads rows of tables and of query results through the Storage Read API, as Arrow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Any

import grpc
import pyarrow as pa
from google.api_core import exceptions as api
from google.api_core.client_options import ClientOptions
from google.api_core.retry import Retry, if_exception_type
from google.cloud.bigquery_storage_v1 import BigQueryReadClient, types
from google.cloud.bigquery_storage_v1.services.big_query_read.transports import BigQueryReadGrpcTransport

from warp_resources.connectors.bigquery.errors import translated
from warp_resources.connectors.bigquery.options import BigQuerySourceOptions
from warp_resources.connectors.bigquery.session import credentials_of, translating
from warp_resources.connectors.interfaces import ReadLimits
from warp_resources.errors import OperatorError, TransientError

_EXPIRED = (api.NotFound, api.FailedPrecondition, api.InvalidArgument)
_CHANNEL = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # A line that is dead without a word is noticed within a minute and a half, not when a reading may last no longer.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 30_000),
]
_LOST_LINE_SECONDS = 300.0
"""How long the client itself asks again for the rows of a service that does not answer."""
_AGAIN = Retry(if_exception_type(api.ServiceUnavailable), timeout=_LOST_LINE_SECONDS)


class StreamExpired(TransientError):
    """The service no longer knows a stream, or no longer has its rows: they have to be asked for anew."""


@dataclass(slots=True)
class RowStream:
    """The rows of one stream from a place on: the same rows in the same order however often it is opened.

    ``name``: of the stream, empty where there is no row. ``offset``: how many of its rows are taken.
    """

    name: str
    offset: int
    _batches: Iterator[pa.RecordBatch]
    _rest: list[pa.RecordBatch] = field(default_factory=list)

    def take(self, limits: ReadLimits) -> pa.RecordBatch | None:
        """The next rows within the limits, one at least; None at the end."""
        taken: list[pa.RecordBatch] = []
        rows, size = 0, 0
        while not self.is_at_end():
            batch = self._rest.pop(0)
            room = None if limits.max_rows is None else limits.max_rows - rows
            fitting = _fitting(batch, room, limits.max_bytes - size) or (0 if taken else 1)
            if fitting:
                taken.append(batch.slice(0, fitting))
                rows, size = rows + fitting, size + taken[-1].nbytes
            if fitting < batch.num_rows:
                self._rest.insert(0, batch.slice(fitting))
                break
        self.offset += rows
        return pa.concat_batches(taken) if taken else None

    def has(self, columns: Iterable[str]) -> bool:
        """Whether the rows have these columns; of no rows there is nothing to say against it."""
        return self.is_at_end() or set(columns) <= {*self._rest[0].schema.names}

    def is_at_end(self) -> bool:
        """Whether all rows are taken; asks the service where it has sent nothing ahead."""
        while not self._rest:
            batch = next(self._batches, None)
            if batch is None:
                return True
            if batch.num_rows:
                self._rest.append(batch)
        return False


def _fitting(batch: pa.RecordBatch, max_rows: int | None, max_bytes: int) -> int:
    """About how many of the rows are within the limits."""
    row_bytes = max(1, batch.nbytes // batch.num_rows)
    fitting = max(0, max_bytes // row_bytes)
    return int(min(batch.num_rows, fitting if max_rows is None else min(fitting, max_rows)))


class Storage:
    """One client of the Storage Read API, made at first use."""

    def __init__(self, options: BigQuerySourceOptions) -> None:
        self._options = options
        self._client: BigQueryReadClient | None = None

    def begin(self, table: str, condition: str = "") -> RowStream:
        """The rows of a table, or of the result of a query, as they are now: one snapshot of them.

        Args:
            table: ``projects/P/datasets/D/tables/T``.
            condition: what holds of the rows, as after ``where``.
        """
        asked = types.ReadSession(
            table=table,
            data_format=types.DataFormat.ARROW,
            read_options=types.ReadSession.TableReadOptions(row_restriction=condition),
        )
        with translating("begin to read rows"):
            session = self._reached().create_read_session(
                parent=f"projects/{self._options.project_id}",
                read_session=asked,
                max_stream_count=1,
                timeout=self._options.read_timeout,
            )
        return self.open(session.streams[0].name, 0) if session.streams else RowStream("", 0, iter(()))

    def open(self, name: str, offset: int) -> RowStream:
        """A stream, from a row on.

        Raises:
            StreamExpired: there is no such stream any more.
        """
        batches = self._batches(name, offset)
        first = next(batches, None)
        return RowStream(name, offset, batches if first is None else chain([first], batches))

    def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.transport.close()  # type: ignore[no-untyped-call]

    def _batches(self, name: str, offset: int) -> Iterator[pa.RecordBatch]:
        schema: pa.Schema | None = None
        try:
            # The client itself opens a stream again that breaks off.
            for answer in self._reached().read_rows(name, offset, retry=_AGAIN):  # type: ignore[no-untyped-call]
                if answer.arrow_schema.serialized_schema:
                    schema = pa.ipc.read_schema(pa.py_buffer(answer.arrow_schema.serialized_schema))
                packed = pa.py_buffer(answer.arrow_record_batch.serialized_record_batch)
                yield pa.ipc.read_record_batch(packed, schema)
        except _EXPIRED as error:
            raise StreamExpired("The snapshot that rows are read from has expired", stream=name) from error
        except Exception as error:
            raise translated(error, "read rows") from error

    def _reached(self) -> BigQueryReadClient:
        if self._client is None:
            with translating("find the credentials"):
                self._client = _client(self._options)
        return self._client


def _client(options: BigQuerySourceOptions) -> BigQueryReadClient:
    if options.is_insecure:
        if options.storage_endpoint is None:
            raise OperatorError(
                "The address of the Storage Read API is not known",
                remedy="Set source.storage_endpoint to the HOST:PORT that goes with source.api_endpoint",
            )
        channel = grpc.insecure_channel(options.storage_endpoint, options=_CHANNEL)
        return BigQueryReadClient(transport=BigQueryReadGrpcTransport(channel=channel))  # type: ignore[no-untyped-call]
    its: dict[str, Any] = {"transport": partial(BigQueryReadGrpcTransport, channel=_channel)}
    if options.storage_endpoint is not None:
        its["client_options"] = ClientOptions(api_endpoint=options.storage_endpoint)
    its |= credentials_of(options)
    return BigQueryReadClient(**its)  # type: ignore[no-untyped-call]


def _channel(host: str, **its: Any) -> grpc.Channel:
    """A channel as the client would make it, but for what it says of lines that are dead."""
    return BigQueryReadGrpcTransport.create_channel(host, **{**its, "options": _CHANNEL})
