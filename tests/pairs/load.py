"""Documents and changes with a state machine per key, so that a skipped or repeated change shows."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

from bson import Decimal128, ObjectId
from pymongo import DeleteOne, InsertOne, ReplaceOne, UpdateOne
from pymongo.collection import Collection

Documents = Collection[dict[str, Any]]


def person(rnd: random.Random, number: int) -> dict[str, Any]:
    """A document as real collections have them: nested, sparse, drifting."""
    document: dict[str, Any] = {
        "_id": ObjectId(),
        "n": number,
        "step": 0,
        "price": Decimal128(f"{rnd.randrange(10**6)}.{rnd.randrange(100):02d}"),
        "name": rnd.choice(["Ann", "Zoë", "李雷", 'say "hi"', "tab\there", ""]),
        "active": rnd.random() < 0.5,
        "at": datetime(2024, 1, 1, tzinfo=UTC) + timedelta(milliseconds=rnd.randrange(10**10)),
        "address": {"street": f"{number} Main", "geo": {"lat": rnd.uniform(-90, 90)}},
        "tags": [rnd.choice("abc") for _ in range(rnd.randrange(4))],
    }
    if rnd.random() < 0.4:
        document["nick"] = rnd.choice([None, "x"])
    return document


def fill(collection: Documents, count: int, seed: int = 1) -> None:
    rnd = random.Random(seed)
    collection.insert_many([person(rnd, number) for number in range(count)])


def churn(collection: Documents, count: int, seed: int) -> None:
    """Inserts, updates, replacements and deletes, mixed."""
    rnd = random.Random(seed)
    keys = [document["_id"] for document in collection.find({}, {"_id": 1}).limit(2000)]
    operations: list[Any] = []
    for number in range(count):
        draw = rnd.random()
        if draw < 0.35 or not keys:
            made = person(rnd, number)
            keys.append(made["_id"])
            operations.append(InsertOne(made))
        elif draw < 0.75:
            change = {"$inc": {"step": 1}, "$set": {f"extra{rnd.randrange(3)}": number}, "$unset": {"nick": ""}}
            operations.append(UpdateOne({"_id": rnd.choice(keys)}, change))
        elif draw < 0.85:
            key = rnd.choice(keys)
            operations.append(ReplaceOne({"_id": key}, {**person(rnd, number), "_id": key}))
        else:
            operations.append(DeleteOne({"_id": keys.pop(rnd.randrange(len(keys)))}))
    collection.bulk_write(operations)
