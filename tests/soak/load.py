"""The load of a soak: one thread that writes to all collections in turn, and what is done to whole collections."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pymongo import MongoClient

from tests.soak.journal import Journal
from tests.soak.lives import FamilyLife, KeptMachine, Life, UglyLife, surely, weakly

WRITES_PER_SECOND = 60.0
_MOST_COLLECTIONS = 8
_FIRST_FILL = 120


class Load:
    """All lives of a soak; it rests unless it is ``going``."""

    def __init__(self, client: MongoClient[dict[str, Any]], seed: int, journal: Journal) -> None:
        self.client, self.journal, self.seed = client, journal, seed
        self.rnd = random.Random(f"load {seed}")
        self._guard = threading.Lock()
        self._failed: BaseException | None = None
        machines = {"shop": ("users", "orders", "churned"), "soft": ("members",), "crm": ("people",)}
        self.lives: dict[str, Life] = {
            f"{schema}.{name}": KeptMachine(client[schema][name], self._seed(), journal=journal)
            for schema, names in {**machines, "ledger": ("accounts",)}.items()
            for name in names
        }
        # What a failover may take back; and rows of a batch by timestamp, whose deletes it cannot see.
        self._machine("shop.orders").collection = weakly(client, "shop", "orders")
        self._machine("crm.people").removes = 0.0
        self.lives["shop.ugly"] = UglyLife(client["shop"]["ugly"], self._seed(), journal)
        self.lives["family.children"] = FamilyLife(client["family"], self._seed(), journal)

    def fill(self) -> None:
        """What is there before the product begins."""
        for life in self.lives.values():
            if isinstance(life, KeptMachine):
                life.fill(_FIRST_FILL)
            else:
                for _ in range(_FIRST_FILL):
                    life.step()

    @contextmanager
    def going(self, per_second: float = WRITES_PER_SECOND) -> Iterator[None]:
        """Write in a thread for the length of a block; its failure is raised."""
        stop = threading.Event()
        thread = threading.Thread(target=self._work, args=(stop, per_second), name="load")
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
        if self._failed is not None:
            raise self._failed

    def drift(self, kind: str, table: str, draw: int) -> None:
        """What happens to a whole collection, or to the shape of its documents."""
        with self._guard:
            match kind:
                case "field":
                    self._add_field(draw)
                case "flip":
                    self._ugly(draw).flip()
                case "key":
                    life = self._ugly(draw)
                    life.family_count = min(4, life.family_count + 1)
                case "collection":
                    self._add_collection()
                case "drop":
                    self._drop(table)
                case "rename":
                    self._rename(table)
                case "truncate":
                    self._truncate(table)
        self.journal.note(table or "?", "", f"drift {kind}")

    def _work(self, stop: threading.Event, per_second: float) -> None:
        try:
            while not stop.wait(1 / per_second):
                with self._guard:
                    self.rnd.choice(list(self.lives.values())).step()
        except BaseException as error:  # noqa: BLE001 - raised where the block ends.
            self._failed = error

    def _add_field(self, draw: int) -> None:
        if draw % 2:
            self._ugly(draw).widen()
            return
        machines = [life for life in self.lives.values() if isinstance(life, KeptMachine)]
        chosen = machines[draw // 2 % len(machines)]
        value = [1, "text", 1.5, True, {"a": [1]}][len(chosen.extra) % 5]
        chosen.extra = {**chosen.extra, f"field{len(chosen.extra)}": value}

    def _add_collection(self) -> None:
        ugly = [name for name, life in self.lives.items() if isinstance(life, UglyLife)]
        if len(ugly) < _MOST_COLLECTIONS:
            name = f"ugly{len(ugly)}"
            self.lives[f"shop.{name}"] = UglyLife(self.client["shop"][name], self._seed(), self.journal)

    def _drop(self, table: str) -> None:
        self._part(table)
        surely(self.lives[table].collection.drop)

    def _rename(self, table: str) -> None:
        """The rows live on elsewhere, at rest."""
        life = self.lives[table]
        new = f"former_{life.collection.name}{len(self.lives)}"
        schema = table.partition(".")[0]
        if f"{schema}.{new}" in self.lives or not surely(lambda: life.collection.find_one()):
            return
        self._part(table)
        collection = self.client[schema][new]
        surely(lambda: self._moved(life, new))
        former: Life
        if isinstance(life, UglyLife):
            former = UglyLife(collection, self._seed(), self.journal, life.family_count, list(life.names))
        else:
            former = KeptMachine(collection, self._seed(), journal=self.journal)
        self.lives[f"{schema}.{new}"] = former

    def _moved(self, life: Life, new: str) -> None:
        names = life.collection.database.list_collection_names()
        if new not in names:
            life.collection.rename(new)

    def _truncate(self, table: str) -> None:
        life = self._machine(table)
        surely(lambda: life.collection.delete_many({}))
        life.forget()

    def _part(self, table: str) -> None:
        life = self.lives[table]
        if isinstance(life, UglyLife):
            life.become_ghosts()
        elif isinstance(life, KeptMachine):
            life.forget()

    def _machine(self, table: str) -> KeptMachine:
        life = self.lives[table]
        assert isinstance(life, KeptMachine)
        return life

    def _ugly(self, draw: int) -> UglyLife:
        found = [life for life in self.lives.values() if isinstance(life, UglyLife)]
        return found[draw % len(found)]

    def _seed(self) -> int:
        return self.rnd.randrange(2**31)
