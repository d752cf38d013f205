"""Fills a MongoDB with the shop of the demonstration, and keeps changing it as a process of its own."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from pymongo import MongoClient
from pymongo.database import Database

from warp_resources.connectors.mongodb import demo_data as shop
from warp_resources.connectors.mongodb.demo_data import CATALOG, COLLECTIONS, SHOP, Document

CHANGES_PER_SECOND = 300
_TICK_SECONDS = 0.1
_CHUNK = 2_000
_DRIFT_AFTER = 1_500
"""Changes before the first drift, so that columns have a type by then and their change can be seen."""

Client = MongoClient[Document]


def fill(uri: str, seed: int = 1, on_rows: Callable[[str, int], None] = lambda name, rows: None) -> int:
    """Make the collections; how many documents there are then."""
    client: Client = MongoClient(uri)
    total = 0
    with client:
        for (database, name), (make, count) in COLLECTIONS.items():
            chunk: list[Document] = []
            for document in shop.documents(make, count, seed):
                chunk.append(document)
                if len(chunk) == _CHUNK:
                    _insert(client[database], name, chunk, on_rows)
            _insert(client[database], name, chunk, on_rows)
            total += count
    return total


def _insert(
    database: Database[Document], name: str, chunk: list[Document], on_rows: Callable[[str, int], None]
) -> None:
    if chunk:
        database[name].insert_many(chunk, ordered=False)
        on_rows(f"{database.name}.{name}", len(chunk))
        chunk.clear()


class Traffic:
    """The life of the shop: orders come, move on and go, shapes drift. ``counts`` has what was done."""

    def __init__(self, client: Client, seed: int) -> None:
        self._client = client
        self._shop, self._catalog = client[SHOP], client[CATALOG]
        self._chance = random.Random(seed)
        self._orders = [document["_id"] for document in self._shop["orders"].find({}, {"_id": 1}).limit(5_000)]
        self._users = [document["_id"] for document in self._shop["users"].find({}, {"_id": 1}).limit(5_000)]
        self.counts: Counter[str] = Counter()

    def change(self) -> None:
        """One change, or one transaction of two."""
        act = self._chance.choices(
            [self._place, self._advance, self._restock, self._cancel, self._buy, self._drift, self._maintain],
            weights=[40, 30, 15, 5, 5, 3, 2],
        )[0]
        self.counts[act()] += 1

    def _place(self) -> str:
        document = shop.order(self._chance, 40_000 + self.counts.total())
        self._shop["orders"].insert_one(document)
        self._orders.append(document["_id"])
        return "inserted"

    def _advance(self) -> str:
        self._shop["orders"].update_one(self._order(), {"$set": shop.advanced(self._chance)})
        return "updated"

    def _restock(self) -> str:
        self._shop["products"].update_one(self._product(), {"$set": shop.restocked(self._chance)})
        return "updated"

    def _cancel(self) -> str:
        if len(self._orders) < 100:
            return self._place()
        chosen = self._orders.pop(self._chance.randrange(len(self._orders)))
        self._shop["orders"].delete_one({"_id": chosen})
        return "deleted"

    def _buy(self) -> str:
        """An order and its product's stock, in one transaction."""
        document = shop.order(self._chance, 40_000 + self.counts.total())
        with self._client.start_session() as session, session.start_transaction():
            self._shop["orders"].insert_one(document, session=session)
            self._shop["products"].update_one(self._product(), {"$set": shop.restocked(self._chance)}, session=session)
        return "transactions"

    def _drift(self) -> str:
        if self.counts.total() < _DRIFT_AFTER:
            return self._advance()
        name, values = shop.drifting(self._chance, self.counts.total())
        key = {"orders": self._order, "products": self._product, "users": self._user}[name]
        self._shop[name].update_one(key(), {"$set": values, "$unset": {"coupon": ""}})
        return "drifted"

    def _maintain(self) -> str:
        number = self._chance.randrange(3_000)
        self._catalog["suppliers"].replace_one({"_id": number}, shop.supplier(self._chance, number), upsert=True)
        return "catalogue"

    def _order(self) -> Document:
        return {"_id": self._chance.choice(self._orders)}

    def _product(self) -> Document:
        return {"_id": self._chance.randrange(5_440)}

    def _user(self) -> Document:
        return {"_id": self._chance.choice(self._users)}


def main(arguments: list[str]) -> int:
    """``URI [SEED]``: change the shop until told to stop or left alone, then print what was done as JSON."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    parent = os.getppid()
    client: MongoClient[dict[str, Any]] = MongoClient(arguments[0])
    with client:
        traffic = Traffic(client, int(arguments[1]) if len(arguments) > 1 else 2)
        due = time.monotonic()
        while not stop.wait(max(0.0, due - time.monotonic())) and os.getppid() == parent:
            due = max(due + _TICK_SECONDS, time.monotonic())
            for _ in range(round(CHANGES_PER_SECOND * _TICK_SECONDS)):
                traffic.change()
    sys.stdout.write(json.dumps(traffic.counts))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
