"""The recorded history of a table's schema, and what going back in it means."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from warp_resources.model.tables import Column, SchemaChange, TableSchema


@dataclass(frozen=True, slots=True)
class SchemaVersion:
    """One version of a table's schema, what led to it, when, and in which run."""

    schema: TableSchema
    changes: tuple[SchemaChange, ...]
    applied_at: datetime
    run_id: str


@dataclass(frozen=True, slots=True)
class ColumnStep:
    """A column that goes back to an earlier type; ``refused`` counts the stored values that do not fit it.

    Only a value that converts exactly, and back to what it was, fits.
    """

    before: Column
    after: Column
    refused: int = 0

    @property
    def is_possible(self) -> bool:
        return self.refused == 0


@dataclass(frozen=True, slots=True)
class Rollback:
    """What brings a table back to the types of an earlier version, without removing anything.

    ``steps``: the columns whose type is another now. ``kept``: columns that came since, which stay.
    ``fixed``: columns whose change is for good. ``statement``: the change as the destination spells it.
    ``version``: the version that was made, None where nothing was changed.
    """

    present: TableSchema
    target: int
    steps: tuple[ColumnStep, ...]
    kept: tuple[Column, ...] = ()
    fixed: tuple[Column, ...] = ()
    statement: str = ""
    version: int | None = None

    @property
    def possible(self) -> tuple[ColumnStep, ...]:
        return tuple(step for step in self.steps if step.is_possible)

    @property
    def impossible(self) -> tuple[ColumnStep, ...]:
        return tuple(step for step in self.steps if not step.is_possible)
