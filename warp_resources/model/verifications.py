"""What a verification of a table has found."""

from __future__ import annotations

from dataclasses import dataclass, field

from warp_resources.model.differences import DifferenceKind
from warp_resources.model.tables import TableId

MOST_KEYS = 100_000
"""Of the keys that differ, these are named."""


@dataclass(frozen=True, slots=True)
class DifferingKey:
    """A key that is not the same on both sides; ``primary_key`` is a JSON object as text."""

    primary_key: str
    kind: DifferenceKind


@dataclass(slots=True)
class SliceCounts:
    """The rows that the source has in one slice, and how many of them the destination has otherwise or not.

    ``unsettled``: rows of which it cannot be told, since their changes are under way.
    """

    name: str
    rows: int = 0
    missing: int = 0
    different: int = 0
    set_aside: int = 0
    unsettled: int = 0

    @property
    def matched(self) -> int:
        return self.rows - self.missing - self.different - self.set_aside - self.unsettled


@dataclass(slots=True)
class Verification:
    """Both sides of one table, compared.

    ``surplus``: rows that the destination has beyond the source's. ``late``: keys whose changes the stream has yet
    to bring, ``moving``: those that changed in every reading; neither is called a difference. ``mended``: keys
    that differed and were written again. ``note``: why there was nothing to compare.
    """

    table: TableId
    slices: list[SliceCounts] = field(default_factory=list)
    surplus: int = 0
    late: int = 0
    moving: int = 0
    mended: int = 0
    keys: list[DifferingKey] = field(default_factory=list)
    note: str = ""

    @property
    def rows(self) -> int:
        return sum(part.rows for part in self.slices)

    @property
    def matched(self) -> int:
        return sum(part.matched for part in self.slices)

    @property
    def missing(self) -> int:
        return sum(part.missing for part in self.slices)

    @property
    def different(self) -> int:
        return sum(part.different for part in self.slices)

    @property
    def set_aside(self) -> int:
        return sum(part.set_aside for part in self.slices)

    @property
    def differences(self) -> int:
        """The keys that differ and were not mended."""
        return self.missing + self.different + self.surplus - self.mended
