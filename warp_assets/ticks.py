"""Does the work of a schema's jobs: table by table, whatever the mode of each."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias

import dagster as dg

from warp_assets import filling
from warp_assets.asked import Asked
from warp_assets.events import Event, all_windows, events_of, windows_between, windows_within
from warp_assets.progress import told_in
from warp_assets.runs import begin, done_by
from warp_assets.streams import bring_up_to_date
from warp_assets.work import Act, Outcome, each_table
from warp_resources.config import TableSettings, WarpConfig
from warp_resources.connectors.interfaces import Destination
from warp_resources.dagster_bridge.metadata import Happening
from warp_resources.dagster_bridge.partitions import DAY, slice_keys
from warp_resources.dagster_bridge.windows import UNMARKED, Window
from warp_resources.errors import WarpError
from warp_resources.pipeline.batch import sync_table
from warp_resources.pipeline.engine import BATCH, STREAM, Unit, units
from warp_resources.pipeline.marker import time_of

SCHEDULE_TAG = "dagster/schedule_name"

Touched = Callable[[TableSettings, Happening], Sequence[str | None]]
"""The partitions of a table that what was done to it touched."""

Work: TypeAlias = Generator[Event, None, list[Outcome]]
"""Tells of each table as soon as it is done, and returns what failed."""


@dataclass(frozen=True, slots=True)
class Tick:
    """One run of a job of a schema."""

    context: dg.OpExecutionContext
    config: WarpConfig
    schema: str
    destination: Destination
    asked: Asked

    def sync(self) -> Work:
        """Batch tables from their markers on, the stream up to the source's end."""
        failed: list[Outcome] = []
        # A schedule is for batch tables: it must not stream for a schema whose sensor was switched off.
        is_scheduled = SCHEDULE_TAG in self.context.run.tags
        for unit in units(self.config, self.schema):
            if unit.mode == BATCH:
                failed += yield from self._each(unit, sync_table, self._since_marker())
            elif not is_scheduled and self.asked.of(unit) != []:
                failed += yield from self._stream(unit)
        return [outcome for outcome in failed if not self._is_done_elsewhere(outcome)]

    def window(self) -> Work:
        """A window of every batch table."""
        since, until = self.asked.since, self.asked.until
        task = filling.windows([Window(since, until)])
        self._begin(task)

        def touched(table: TableSettings, done: Happening) -> Sequence[str]:
            return windows_within(self._windows(table), table.partitions.every or DAY, since, until)

        failed: list[Outcome] = []
        for unit in units(self.config, self.schema):
            if unit.mode == BATCH:
                failed += yield from self._each(unit, task.act(self.destination), touched)
        return failed

    def resync(self) -> Work:
        """Every table again; of stream tables only some slices, if any are named."""
        run, slices = self.context.run, self.asked.slices
        wish = told_in(self.context.log)
        task = filling.slices_resync(run, slices, wish) if slices else filling.whole_resync(run, wish)
        read_already = self._begin(task)

        def touched(table: TableSettings, done: Happening) -> Sequence[str]:
            if table.mode == BATCH:
                return self._windows(table)
            return [name for name in slice_keys(table.partitions) if not slices or name in slices]

        failed: list[Outcome] = []
        for unit in units(self.config, self.schema):
            if unit.mode == STREAM or not slices:
                failed += yield from self._each(unit, task.act(self.destination), touched, skip=read_already)
        return failed

    def _begin(self, task: filling.Task) -> frozenset[str]:
        return begin(self.context.instance, self.context.run, self.destination, self.schema, task)

    def _each(self, unit: Unit, act: Act, touched: Touched, skip: Collection[str] = ()) -> Work:
        """Act on each table of a unit and tell what was done."""
        failed = []
        for outcome in each_table(unit, self.asked.of(unit), self.context.run_id, act, skip):
            if outcome.error is not None:
                failed.append(outcome)
                continue
            done = done_by(self.destination, unit, self.context.run_id, outcome)
            settings = unit.settings(outcome.table)
            yield from events_of(self.context.instance, self.destination, done, touched(settings, done))
        return failed

    def _stream(self, unit: Unit) -> Work:
        """Of a table that is loaded now, every slice was touched; of another no partition in particular."""
        before = self.destination.table_states(self.schema)
        loaded = {name for name, state in before.items() if state.is_loaded}
        try:
            bring_up_to_date(unit, self.destination, self.context.run_id)
        except WarpError as error:
            return [Outcome("", error=error)]
        # Where another process streams, this run has no figures: the sensor reports that one's.
        for name in self.asked.of(unit) or self._streamed():
            done = done_by(self.destination, unit, self.context.run_id, Outcome(name))
            if not done.is_nothing:
                slices: list[str | None] = [*slice_keys(unit.settings(name).partitions)]
                touched = [None] if name in loaded else slices
                yield from events_of(self.context.instance, self.destination, done, touched)
        return []

    def _streamed(self) -> list[str]:
        states = self.destination.table_states(self.schema)
        return sorted(name for name, state in states.items() if state.mode == STREAM)

    def _since_marker(self) -> Touched:
        before = self.destination.table_states(self.schema)

        def touched(table: TableSettings, done: Happening) -> Sequence[str | None]:
            state = before.get(table.table.name)
            if state is None or not state.is_loaded:
                return self._windows(table)
            if done.is_nothing:
                return []
            if table.partitions.column != table.marker_column:
                # The marker says nothing of the windows of another column.
                return [None]
            if done.position is None:
                return [key for key in self._windows(table) if key == UNMARKED]
            until = time_of(done.position)
            since = until if state.position is None else time_of(state.position)
            return windows_between(self.context.instance, table, since, until)

        return touched

    def _windows(self, table: TableSettings) -> list[str]:
        return all_windows(self.context.instance, self.destination, table, datetime.now(UTC))

    def _is_done_elsewhere(self, outcome: Outcome) -> bool:
        if outcome.is_held:
            self.context.log.warning(f"{self.schema}.{outcome.table} is being synced elsewhere: {outcome.error}")
        return outcome.is_held
