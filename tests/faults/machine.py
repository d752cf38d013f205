"""A load with a state machine per key, so that a skipped, repeated or revived change shows."""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pymongo.collection import Collection
from pymongo.errors import AutoReconnect, PyMongoError

Documents = Collection[dict[str, Any]]

_REMOVE, _INSERT = 0.1, 0.35
_RETRY_SECONDS = 0.2


@dataclass(slots=True)
class Machine:
    """Writes one collection: each key is inserted, goes on by single steps, is deleted, and may live again.

    A document is ``_id``, ``life`` (how often the key was inserted before), ``step``, ``body``, ``sum`` (a checksum
    of all of these) and ``updated_at``. The source is asked what it has where the answer to a write was lost.
    """

    collection: Documents
    seed: int = 1
    body_bytes: int = 40
    alive: dict[str, tuple[int, int]] = field(default_factory=dict)
    lives: Counter[str] = field(default_factory=Counter)
    done: Counter[str] = field(default_factory=Counter)
    rnd: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.rnd = random.Random(self.seed)

    def fill(self, count: int) -> None:
        """Insert keys that are not there yet, in one go."""
        keys = [f"{self.collection.name}-{len(self.lives) + number:06d}" for number in range(count)]
        self.collection.insert_many([self._document(key, 0, 0) for key in keys])
        self.alive |= dict.fromkeys(keys, (0, 0))
        self.lives.update(keys)
        self.done["insert"] += count

    def burst(self, count: int) -> None:
        """Make as many changes, one after the other."""
        for _ in range(count):
            self.step()

    def step(self) -> None:
        """One change of one key."""
        draw = self.rnd.random()
        if not self.alive or draw > 1 - _INSERT:
            self._insert()
        elif draw < _REMOVE:
            self._delete(self.rnd.choice(list(self.alive)))
        else:
            self._advance(self.rnd.choice(list(self.alive)))

    @contextmanager
    def running(self, per_second: float) -> Iterator[Machine]:
        """Go on in a thread of its own for the length of a block, waiting out failovers; its failure is raised."""
        stop, failed = threading.Event(), list[BaseException]()

        def work() -> None:
            try:
                while not stop.wait(1 / per_second):
                    self.step()
            except BaseException as error:  # noqa: BLE001 - raised where the block ends.
                failed.append(error)

        thread = threading.Thread(target=work, name="load")
        thread.start()
        try:
            yield self
        finally:
            stop.set()
            thread.join(60)
        assert not thread.is_alive(), "the load hangs"
        assert not failed, failed

    def _insert(self) -> None:
        dead = [key for key in self.lives if key not in self.alive]
        key = self.rnd.choice(dead) if dead and self.rnd.random() < 0.5 else self._new_key()
        life = self.lives[key]
        self._surely(key, lambda: self.collection.insert_one(self._document(key, life, 0)))
        self.lives[key] += 1
        self.done["insert"] += 1

    def _advance(self, key: str) -> None:
        life, step = self.alive[key]
        made = self._document(key, life, step + 1)
        del made["_id"]
        self._surely(key, lambda: self.collection.update_one({"_id": key, "step": step}, {"$set": made}))
        self.done["update"] += 1

    def _delete(self, key: str) -> None:
        self._surely(key, lambda: self.collection.delete_one({"_id": key}))
        self.done["delete"] += 1

    def _surely(self, key: str, write: Callable[[], object]) -> None:
        """Write, and where the answer was lost, take note of what has become of it."""
        deadline = time.monotonic() + 90
        while True:
            try:
                write()
                break
            except (AutoReconnect, PyMongoError) as error:
                if time.monotonic() > deadline:
                    raise
                if getattr(error, "code", None) == 11000:
                    break
                time.sleep(_RETRY_SECONDS)
        self._note(key)

    def _note(self, key: str) -> None:
        deadline = time.monotonic() + 90
        while True:
            try:
                found = self.collection.find_one({"_id": key}, {"life": 1, "step": 1})
                break
            except PyMongoError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_RETRY_SECONDS)
        if found is None:
            self.alive.pop(key, None)
        else:
            self.alive[key] = (found["life"], found["step"])

    def _new_key(self) -> str:
        return f"{self.collection.name}-{len(self.lives):06d}"

    def _document(self, key: str, life: int, step: int) -> dict[str, Any]:
        body = self.rnd.randbytes(self.body_bytes // 2).hex()
        return {
            "_id": key,
            "life": life,
            "step": step,
            "body": body,
            "sum": hashlib.sha256(f"{key}:{life}:{step}:{body}".encode()).hexdigest()[:16],
            "updated_at": datetime.now(UTC).replace(microsecond=0),
        }
