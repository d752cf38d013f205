"""Remembers, from one engine to the next, which batch tables a pass has done and how often each was interrupted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class BatchProgress:
    """What has become of the tables of a unit; ``max_retries`` interruptions in a row are waited out in silence."""

    max_retries: int
    _read_again: set[str] = field(default_factory=set)
    _interruptions: Counter[str] = field(default_factory=Counter)

    def is_read_again(self, table: str) -> bool:
        """Whether the full resync that is under way has this table behind it."""
        return table in self._read_again

    def done(self, table: str, *, full_resync: bool) -> None:
        """A table came to its end."""
        del self._interruptions[table]
        if full_resync:
            self._read_again.add(table)

    def interrupted(self, table: str) -> bool:
        """Count an interruption; whether the table has to be reported as failing."""
        self._interruptions[table] += 1
        return self._is_failing(table)

    @property
    def has_failing(self) -> bool:
        """Whether any table was interrupted more often than is waited out."""
        return any(map(self._is_failing, self._interruptions))

    def end_resync(self) -> None:
        """Every table is behind the full resync."""
        self._read_again.clear()

    def _is_failing(self, table: str) -> bool:
        return self._interruptions[table] > self.max_retries + 1
