"""What a comparison of the two sides of a table finds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class DifferenceKind(StrEnum):
    """How a row of the destination is not what the source has."""

    MISSING = "missing"
    DIFFERENT = "different"
    SURPLUS = "surplus"
    SET_ASIDE = "set_aside"  # missing or different, but a pending dead letter holds the whole row


@dataclass(frozen=True, slots=True)
class Difference:
    """One row that is not the same on both sides.

    ``row`` is its index among the rows that were compared; of a SURPLUS, among the deletes, whose row is still
    there. ``sequence`` is the ``_warp_sequence`` that the destination's row carries, None where it has no row.
    """

    row: int
    kind: DifferenceKind
    sequence: int | None


@dataclass(frozen=True, slots=True)
class Surplus:
    """A row of the destination whose key no compared chunk brought; ``key_text`` as ``arrow.keys`` spells it."""

    key_text: str
    sequence: int
