"""The limit loops: what the servers themselves allow, without any work of ours between."""

from __future__ import annotations

import time
from typing import Any

import pgpq
import psycopg
import pyarrow as pa
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient


def raw_read(uri: str, database: str, collection: str) -> float:
    """Rows per second of raw ``find`` and ``getMore`` replies, discarded."""
    client: MongoClient[dict[str, Any]] = MongoClient(uri)
    with client, client.start_session() as session:
        total = client[database][collection].estimated_document_count()
        codec: CodecOptions[Any] = CodecOptions(document_class=RawBSONDocument)
        started = time.perf_counter()
        reply = client[database].command(
            {"find": collection, "batchSize": 20_000}, session=session, codec_options=codec
        )
        cursor = reply["cursor"]["id"]
        while cursor:
            more = {"getMore": cursor, "collection": collection}
            cursor = client[database].command(more, session=session, codec_options=codec)["cursor"]["id"]
        return total / (time.perf_counter() - started)


def raw_stream(uri: str, database: str, start: Any, count: int) -> float:
    """Events per second of raw change-stream ``getMore`` replies, discarded, up to ``count`` events."""
    client: MongoClient[dict[str, Any]] = MongoClient(uri)
    with client, client.start_session() as session:
        codec: CodecOptions[Any] = CodecOptions(document_class=RawBSONDocument)
        pipeline = [{"$changeStream": {"startAtOperationTime": start}}]
        command: dict[str, Any] = {"aggregate": 1, "pipeline": pipeline, "cursor": {"batchSize": 5000}}
        started = time.perf_counter()
        reply = client[database].command(command, session=session, codec_options=codec)["cursor"]
        seen, cursor = len(reply["firstBatch"]), reply["id"]
        while seen < count:
            more = {"getMore": cursor, "collection": "$cmd.aggregate", "batchSize": 5000}
            seen += len(client[database].command(more, session=session, codec_options=codec)["cursor"]["nextBatch"])
        return seen / (time.perf_counter() - started)


def binary_copy(warehouse: str, rows: int) -> float:
    """Rows per second of binary COPY of ten prepared columns into a table with a primary key."""
    batch = _flat_batch(min(rows, 50_000))
    encoder = pgpq.ArrowToPostgresBinaryEncoder(batch.schema)
    header, body, footer = encoder.write_header(), encoder.write_batch(batch), encoder.finish()
    times = max(1, rows // batch.num_rows)
    with psycopg.connect(warehouse, autocommit=True) as connection:
        columns = "number int8, amount float8, name text, email text, is_active bool, country text, score int8"
        columns += ", at timestamp, bt timestamp"
        connection.execute(f"create table limit_copy (id text, {columns}, run int default 0, primary key (run, id))")
        fields = "id, number, amount, name, email, is_active, country, score, at, bt"
        spent = 0.0
        for run in range(times):
            connection.execute(f"alter table limit_copy alter column run set default {int(run)}")
            started = time.perf_counter()
            with connection.cursor().copy(f"copy limit_copy ({fields}) from stdin with (format binary)") as copy:
                for part in (header, body, footer):
                    copy.write(part)
            spent += time.perf_counter() - started
        connection.execute("drop table limit_copy")
    return times * batch.num_rows / spent


def _flat_batch(rows: int) -> pa.RecordBatch:
    index = list(range(rows))
    times = pa.array([1_700_000_000_000_000 + i for i in index], pa.timestamp("us"))
    return pa.record_batch(
        {
            "id": pa.array([f"{i:024x}" for i in index]),
            "number": pa.array(index),
            "amount": pa.array([i * 0.25 for i in index]),
            "name": pa.array([f"customer {i}" for i in index]),
            "email": pa.array([f"c{i}@example.org" for i in index]),
            "is_active": pa.array([i % 3 == 0 for i in index]),
            "country": pa.array([("DE", "FR", "IN", "BR")[i % 4] for i in index]),
            "score": pa.array([i % 1000 for i in index]),
            "at": times,
            "bt": times,
        }
    )
