"""What a replay of dead letters is to do with a key, and what became of the letters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ReplayedKey:
    """A key whose pending dead letters are settled by writing one's record: the newest, ``winner``.

    ``letters`` are the numbers of all of them, ``sequence`` is the largest of their commits: a row with a later one
    is newer than the record. What is written carries this sequence, as if that commit had succeeded.
    """

    winner: int
    letters: tuple[int, ...]
    sequence: int


@dataclass(frozen=True, slots=True)
class LetterOutcome:
    """What a replay made of letters: ``pending`` counts those that are still set aside, by reason."""

    replayed: int = 0
    superseded: int = 0
    pending: Mapping[str, int] = field(default_factory=dict)

    @property
    def pending_count(self) -> int:
        return sum(self.pending.values())

    def __add__(self, other: LetterOutcome) -> LetterOutcome:
        reasons = {**self.pending, **other.pending}
        pending = {name: self.pending.get(name, 0) + other.pending.get(name, 0) for name in reasons}
        return LetterOutcome(self.replayed + other.replayed, self.superseded + other.superseded, pending)


NO_LETTERS = LetterOutcome()
"""Of commits that are no replay."""
