"""The documents that the benchmarks move: flat, nested, and changes to them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from bson import ObjectId
from pymongo import DeleteOne, InsertOne, UpdateOne
from pymongo.collection import Collection

START = datetime(2024, 1, 1, tzinfo=UTC)
BATCH = 10_000


def flat(index: int) -> dict[str, Any]:
    """Ten fields, no nesting."""
    return {
        "_id": ObjectId(),
        "number": index,
        "amount": index * 0.25,
        "name": f"customer {index}",
        "email": f"c{index}@example.org",
        "is_active": index % 3 == 0,
        "country": ("DE", "FR", "IN", "BR")[index % 4],
        "score": index % 1000,
        "created_at": START + timedelta(seconds=index),
        "updated_at": START + timedelta(seconds=index * 2),
    }


def nested(index: int) -> dict[str, Any]:
    """A sub-document of two levels, an array of scalars, an array of documents."""
    return {
        "_id": ObjectId(),
        "number": index,
        "name": f"customer {index}",
        "updated_at": START + timedelta(seconds=index),
        "address": {"street": f"{index} Main", "city": "Pune", "geo": {"lat": index * 0.001, "lon": -index * 0.001}},
        "tags": ["a", "b", "c"][: index % 4],
        "lines": [{"sku": f"s{line}", "qty": line, "price": line * 1.5} for line in range(index % 4)],
    }


def fill(collection: Collection[dict[str, Any]], make: Any, count: int) -> None:
    """Insert ``count`` documents."""
    for first in range(0, count, BATCH):
        collection.insert_many([make(index) for index in range(first, min(count, first + BATCH))], ordered=False)


def change(collection: Collection[dict[str, Any]], count: int, seed: int = 1) -> None:
    """Apply ``count`` changes: 60 % updates, 30 % inserts, 10 % deletes of distinct documents."""
    rnd = random.Random(seed)
    keys = [document["_id"] for document in collection.find({}, {"_id": 1}).limit(count)]
    rnd.shuffle(keys)
    for operations in _operations(rnd, keys, count):
        collection.bulk_write(operations, ordered=False)


def _operations(rnd: random.Random, keys: list[Any], count: int) -> Iterator[list[Any]]:
    batch: list[Any] = []
    for index in range(count):
        draw = rnd.random()
        if draw < 0.3:
            batch.append(InsertOne(flat(10_000_000 + index)))
        elif draw < 0.4:
            batch.append(DeleteOne({"_id": keys.pop()}))
        else:
            key = keys[rnd.randrange(len(keys))]
            batch.append(UpdateOne({"_id": key}, {"$set": {"score": index, "amount": index * 0.5}}))
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
