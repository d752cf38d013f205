"""The lives of collections under a soak's load: state machines per key, ugly documents, parents and children."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import PyMongoError

from tests.faults.machine import Machine
from tests.pairs.canonical import key_text
from tests.soak.journal import Journal
from tests.soak.ugly import FAMILIES, ugly_value
from warp_resources.errors import TransientError

Documents = Collection[dict[str, Any]]
T = TypeVar("T")
PATIENCE_SECONDS = 120.0
_RETRY_SECONDS = 0.2
_HOT_SHARE, _HOT_KEYS = 0.4, 6


class Life(Protocol):
    """A collection that is written to."""

    collection: Documents

    def step(self) -> None:
        """One change."""
        ...


def surely(act: Callable[[], T]) -> T:
    """What comes of an act that may be repeated, once the source lets it."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return act()
        except (PyMongoError, TransientError):
            if time.monotonic() > deadline:
                raise
            time.sleep(_RETRY_SECONDS)


@dataclass(slots=True)
class KeptMachine(Machine):
    """A state machine per key whose writes are remembered; ``extra`` fields drift in."""

    journal: Journal = field(default_factory=Journal)
    removes: float = 0.18
    inserts: float = 0.2
    most: int = 400
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def table(self) -> str:
        return f"{self.collection.database.name}.{self.collection.name}"

    def fill(self, count: int) -> None:
        Machine.fill(self, count)
        for key in self.alive:
            self.journal.note(self.table, key_text(key), "insert", "life 0 step 0")

    def step(self) -> None:
        draw = self.rnd.random()
        if self.removes and self.rnd.random() < _HOT_SHARE:
            self._live_fast(f"{self.collection.name}-hot{self.rnd.randrange(_HOT_KEYS)}", draw)
        elif not self.alive or (draw < self.inserts and len(self.alive) < self.most):
            self._insert()
        elif draw > 1 - self.removes:
            self._delete(self.rnd.choice(list(self.alive)))
        else:
            self._advance(self.rnd.choice(list(self.alive)))

    def _live_fast(self, key: str, draw: float) -> None:
        """A key that comes and goes all the time: whatever is late shows."""
        if key not in self.alive:
            self._surely(key, lambda: self.collection.insert_one(self._document(key, self.lives[key], 0)))
            self.lives[key] += 1
        elif draw < 0.5:
            self._delete(key)
        else:
            self._advance(key)

    def forget(self) -> None:
        """The collection has been emptied by other ways."""
        for key in self.alive:
            self.journal.note(self.table, key_text(key), "delete", "with its collection")
        self.alive.clear()

    def _note(self, key: str) -> None:
        was = self.alive.get(key)
        # Not in the base: a dataclass with slots is another class than the one that ``super()`` means.
        Machine._note(self, key)
        now = self.alive.get(key)
        what = "delete" if now is None else "insert" if was is None else "update"
        self.journal.note(self.table, key_text(key), what, "gone" if now is None else f"life {now[0]} step {now[1]}")

    def _document(self, key: str, life: int, step: int) -> dict[str, Any]:
        return {**Machine._document(self, key, life, step), **self.extra}


@dataclass(slots=True)
class UglyLife:
    """Documents of any fields, types and keys; the source is asked what it has."""

    collection: Documents
    seed: int
    journal: Journal
    family_count: int = 1
    names: list[str] = field(default_factory=lambda: ["name", "Name", "n", "v", "w", "ctid", "_warp_x"])
    ghosts: dict[str, dict[str, Any]] = field(default_factory=dict)
    rnd: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.rnd = random.Random(self.seed)

    @property
    def table(self) -> str:
        return f"{self.collection.database.name}.{self.collection.name}"

    def step(self) -> None:
        key = self.rnd.choice(self.rnd.choice(FAMILIES[: self.family_count]))
        name = self.rnd.choice(self.names)
        draw = self.rnd.random()
        if draw < 0.4:
            names = self.rnd.sample(self.names, self.rnd.randrange(min(4, len(self.names))))
            document = {its: ugly_value(self.rnd) for its in names}
            surely(lambda: self.collection.replace_one({"_id": key}, document, upsert=True))
            self._note(key, "replace", document)
        elif draw < 0.7:
            value = ugly_value(self.rnd)
            surely(lambda: self.collection.update_one({"_id": key}, {"$set": {name: value}}))
            self._note(key, "set", {name: value})
        elif draw < 0.8:
            surely(lambda: self.collection.update_one({"_id": key}, {"$unset": {name: ""}}))
            self._note(key, "unset", name)
        elif draw < 0.95:
            surely(lambda: self.collection.delete_one({"_id": key}))
            self._note(key, "delete")

    def flip(self) -> None:
        """One field gets a value of another type in all documents."""
        name, value = self.rnd.choice(self.names), ugly_value(self.rnd)
        surely(lambda: self.collection.update_many({}, {"$set": {name: value}}))
        self.journal.note(self.table, "", "set everywhere", {name: value})

    def widen(self) -> None:
        """A field that there has not been."""
        self.names.append(f"late{len(self.names)}")

    def become_ghosts(self) -> None:
        """What the collection has goes with it, and may stay at the destination."""
        self.ghosts |= {key_text(its["_id"]): its for its in surely(lambda: list(self.collection.find()))}

    def _note(self, key: Any, what: str, detail: object = "") -> None:
        self.journal.note(self.table, key_text(key), what, detail)


@dataclass(slots=True)
class FamilyLife:
    """Parents and children that refer to them, at times before the parent comes or after it has gone."""

    database: Database[dict[str, Any]]
    seed: int
    journal: Journal
    parents: set[str] = field(default_factory=set)
    children: dict[str, str] = field(default_factory=dict)
    count: int = 0
    rnd: random.Random = field(init=False)
    collection: Documents = field(init=False)

    def __post_init__(self) -> None:
        self.rnd = random.Random(self.seed)
        self.collection = self.database["children"]

    def step(self) -> None:
        draw = self.rnd.random()
        if len(self.parents) >= 5 and len(self.children) < 10:
            self._insert_child()
        elif draw < 0.15 or len(self.parents) < 5:
            self._put_parent(self._new("parent"))
        elif draw < 0.2 and len(self.parents) > 20:
            self._remove_parent(self.rnd.choice(sorted(self.parents)), orphans_first=draw < 0.16)
        elif draw < 0.4 and len(self.children) < 300:
            self._insert_child()
        elif draw < 0.55 and self.children:
            self._remove("children", self.rnd.choice(sorted(self.children)))
        elif draw < 0.6:
            self._put_parent(self.rnd.choice(sorted(self.parents)))
        elif self.children:
            self._put_child(self.rnd.choice(sorted(self.children)), self.rnd.choice(sorted(self.parents)))

    def _insert_child(self) -> None:
        if self.rnd.random() < 0.1:
            parent = self._new("parent")
            self._put_child(self._new("child"), parent)
            self._put_parent(parent)
        else:
            self._put_child(self._new("child"), self.rnd.choice(sorted(self.parents)))

    def _remove_parent(self, parent: str, *, orphans_first: bool) -> None:
        orphans = [child for child, its in self.children.items() if its == parent]
        if orphans_first:
            self._remove("parents", parent)
        heirs = sorted(self.parents - {parent})
        for child in orphans:
            self._put_child(child, self.rnd.choice(heirs))
        if not orphans_first:
            self._remove("parents", parent)

    def _put_parent(self, key: str) -> None:
        self._put("parents", key, {"n": self.rnd.randrange(10**6)})
        self.parents.add(key)

    def _put_child(self, key: str, parent: str) -> None:
        self._put("children", key, {"parent": parent, "n": self.rnd.randrange(10**6)})
        self.children[key] = parent

    def _put(self, name: str, key: str, document: dict[str, Any]) -> None:
        surely(lambda: self.database[name].replace_one({"_id": key}, document, upsert=True))
        self.journal.note(f"{self.database.name}.{name}", key_text(key), "replace", document)

    def _remove(self, name: str, key: str) -> None:
        surely(lambda: self.database[name].delete_one({"_id": key}))
        self.journal.note(f"{self.database.name}.{name}", key_text(key), "delete")
        self.parents.discard(key)
        self.children.pop(key, None)

    def _new(self, kind: str) -> str:
        self.count += 1
        return f"{kind}-{self.count:06d}"


def weakly(client: MongoClient[dict[str, Any]], database: str, name: str) -> Documents:
    """A collection whose writes one node acknowledges, so that a failover may take them back."""
    from pymongo import WriteConcern

    return client[database].get_collection(name, write_concern=WriteConcern(w=1))
