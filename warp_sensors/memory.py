"""What a sensor remembers from tick to tick: a hint, kept in its cursor, of what was reported before."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from warp_resources.model.reports import RunFigures

Counts = tuple[int, int, int, int]
"""Rows written, deleted and rejected, and bytes."""


class Reported(BaseModel):
    """The last report of a table: when (seconds), at which sequence and schema version, and each run's counts."""

    model_config = ConfigDict(extra="ignore")

    at: float = 0.0
    sequence: int = -1
    version: int = 0
    counts: dict[str, Counts] = Field(default_factory=dict)


class Memory(BaseModel):
    """The cursor of a sensor. A lost one repeats the reports of the runs that go on, and nothing else."""

    model_config = ConfigDict(extra="ignore")

    tables: dict[str, Reported] = Field(default_factory=dict)
    slices: dict[str, list[str]] = Field(default_factory=dict)
    has_more_slices: bool = False
    slices_at: float = 0.0
    asked_for: list[str] = Field(default_factory=list)
    asked_at: float = 0.0

    @classmethod
    def read(cls, cursor: str | None) -> Memory:
        """The memory in a cursor; one that cannot be read is as none."""
        try:
            return cls.model_validate_json(cursor) if cursor else cls()
        except ValidationError:
            return cls()

    def text(self) -> str:
        return self.model_dump_json()

    def table(self, name: str) -> Reported:
        return self.tables.setdefault(name, Reported())


def counts_of(run: RunFigures) -> Counts:
    return run.rows_written, run.rows_deleted, run.rows_rejected, run.byte_count


def difference(now: Counts, before: Counts | None) -> Counts:
    """What was added since; counts that went down began anew."""
    if before is None or any(left < right for left, right in zip(now, before, strict=True)):
        return now
    written, deleted, rejected, size = (left - right for left, right in zip(now, before, strict=True))
    return written, deleted, rejected, size


def total(parts: list[Counts]) -> Counts:
    columns: Any = zip(*parts, strict=True) if parts else [(0,)] * 4
    written, deleted, rejected, size = (sum(column) for column in columns)
    return written, deleted, rejected, size
