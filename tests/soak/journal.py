"""Remembers every write of the load per key, for the history of those that differ."""

from __future__ import annotations

import time
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field

_LATEST = 60


@dataclass(slots=True)
class Journal:
    """What was done to each key of each table, the latest of it, and how often in all."""

    began: float = field(default_factory=time.monotonic)
    entries: defaultdict[tuple[str, str], deque[str]] = field(
        default_factory=lambda: defaultdict(lambda: deque(maxlen=_LATEST))
    )
    done: Counter[str] = field(default_factory=Counter)
    deletes: Counter[tuple[str, str]] = field(default_factory=Counter)

    def note(self, table: str, key: str, what: str, detail: object = "") -> None:
        """Args:
        key: as ``key_text`` spells it.
        what: the kind of write, counted.
        """
        self.done[what] += 1
        if what == "delete":
            self.deletes[table, key] += 1
        self.entries[table, key].append(f"{time.monotonic() - self.began:8.2f} s {what} {detail}"[:300])

    def of(self, table: str, key: str) -> list[str]:
        return list(self.entries.get((table, key), ()))
