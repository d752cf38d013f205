"""Compares how many rows a table has on both sides, without an alarm because of changes under way."""

from __future__ import annotations

import glob
from dataclasses import dataclass, replace
from datetime import timedelta

from warp_resources.connectors.interfaces import Destination, Source, SourceScope
from warp_resources.model.tables import TableId
from warp_resources.pipeline.arrival import seconds_to_arrive
from warp_resources.pipeline.engine import STREAM, Unit

READINGS = 3
ARRIVAL = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class Counts:
    """One reading: the source's count before and after the destination's; ``set_aside`` rows may be in neither."""

    before: int
    stored: int
    after: int
    set_aside: int

    @property
    def is_equal(self) -> bool:
        """Whether the difference is explained by what changed meanwhile, and by what was set aside."""
        return (
            self.stored <= max(self.before, self.after) and min(self.before, self.after) <= self.stored + self.set_aside
        )

    @property
    def has_all(self) -> bool:
        """Whether at least no row is missing: deletes do not show in a marker column."""
        return min(self.before, self.after) <= self.stored + self.set_aside


def compare_counts(source: Source, destination: Destination, unit: Unit, table: str) -> Counts:
    """Count until both sides agree, at most three times; the last reading.

    A stream is waited for until it has passed the count that it is compared with, so that rows that are
    only late are not called missing; one that does not get there is not waited for again.
    """
    for _ in range(READINGS):
        counts, has_arrived = _reading(source, destination, unit, table)
        if counts.is_equal or not has_arrived or (unit.mode != STREAM and counts.has_all):
            break
    return counts


def _reading(source: Source, destination: Destination, unit: Unit, table: str) -> tuple[Counts, bool]:
    alone = replace(unit.scope, include=(glob.escape(table),), exclude=())
    before = _rows(source, alone)
    waited = seconds_to_arrive(source, destination, unit.scope, ARRIVAL) if unit.mode == STREAM else 0.0
    its = next((found for found in destination.statistics(unit.schema) if found.table.name == table), None)
    stored = destination.row_count(TableId(unit.schema, table))
    return Counts(before, stored, _rows(source, alone), its.rows_set_aside if its else 0), waited is not None


def _rows(source: Source, alone: SourceScope) -> int:
    return sum(found.row_estimate for found in source.tables(alone))
