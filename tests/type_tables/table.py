"""The shape of the type tables, which drive tests on real servers and the page docs/types.md alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Sample:
    """One value and what becomes of it.

    ``stored``: the text that the destination shows for it, None for NULL. ``lost``: the reason of its dead letter,
    where it is not stored as it was. ``shown``: how a reader writes the value.
    """

    shown: str
    value: Any
    stored: str | None
    lost: str | None = None


@dataclass(frozen=True, slots=True)
class TypeRow:
    """One type of a source, the column that it becomes, and values of it, the hard ones among them."""

    name: str
    column: str
    samples: tuple[Sample, ...]
    note: str = ""
