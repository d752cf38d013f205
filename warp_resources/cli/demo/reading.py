"""What a destination must tell from outside, so that the demonstration can compare it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, TypeAlias

SetAside: TypeAlias = tuple[str, str, str | None]
"""Table, key and column of a value (or, without a column, of a row) whose original is in ``dead_letters``."""


class Reading(Protocol):
    """Reads a destination from outside."""

    def column_types(self, schema: str, table: str) -> dict[str, str]:
        """The columns that hold source fields, by name, with `json`, `text`, `numeric` or another word of its own."""
        ...

    def read_rows(self, schema: str, table: str, columns: list[str]) -> Iterator[tuple[Any, ...]]:
        """Every row; numbers within JSON are decimals."""
        ...

    def set_aside(self, schema: str) -> set[SetAside]:
        """What the pending dead letters of a schema hold; keys are JSON with sorted names."""
        ...
