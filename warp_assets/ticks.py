"""Does the work of a schema's jobs: table by table, whatever the mode of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import dagster as dg

from warp_assets import filling
from warp_assets.events import all_windows, log_materializations, windows_between, windows_within
from warp_assets.runs import done_by
from warp_assets.streams import bring_up_to_date
from warp_assets.work import Act, Outcome, each_table
from warp_resources.config import TableSettings, WarpConfig
from warp_resources.connectors.interfaces import Destination
from warp_resources.dagster_bridge.catalog import covers
from warp_resources.dagster_bridge.metadata import Happening
from warp_resources.dagster_bridge.partitions import DAY, slice_keys
from warp_resources.dagster_bridge.windows import Window
from warp_resources.errors import ConfigurationError, WarpError
from warp_resources.model.tables import TableId
from warp_resources.pipeline.batch import sync_table
from warp_resources.pipeline.engine import BATCH, STREAM, Unit, units
from warp_resources.pipeline.marker import time_of

SCHEDULE_TAG = "dagster/schedule_name"

Touched = Callable[[TableSettings, Happening], Sequence[str]]
"""The partitions of a table that what was done to it touched."""


@dataclass(frozen=True, slots=True)
class Tick:
    """One run of a job of a schema."""

    context: dg.OpExecutionContext
    config: WarpConfig
    schema: str
    destination: Destination

    def sync(self) -> list[Outcome]:
        """Batch tables from their markers on, the stream up to the source's end; what failed."""
        failed: list[Outcome] = []
        # A schedule is for batch tables: it must not stream for a schema whose sensor was switched off.
        is_scheduled = SCHEDULE_TAG in self.context.run.tags
        for unit in units(self.config, self.schema):
            if unit.mode == BATCH:
                failed += self._each(unit, sync_table, self._since_marker())
            elif not is_scheduled and self._asked(unit) != []:
                failed += self._stream(unit)
        return [outcome for outcome in failed if not self._is_done_elsewhere(outcome)]

    def window(self, since: datetime | None, until: datetime | None) -> list[Outcome]:
        """A window of every batch table; what failed."""
        task = filling.windows([Window(since, until)])
        self.context.instance.add_run_tags(self.context.run_id, task.tags)

        def touched(table: TableSettings, done: Happening) -> Sequence[str]:
            return windows_within(self._windows(table), table.partitions.every or DAY, since, until)

        return [
            outcome
            for unit in units(self.config, self.schema)
            if unit.mode == BATCH
            for outcome in self._each(unit, task.act(self.destination), touched)
        ]

    def resync(self, slices: Sequence[str]) -> list[Outcome]:
        """Every table again; of stream tables only ``slices``, if any are named; what failed."""
        task = filling.slices_resync(self.context.run, slices) if slices else filling.whole_resync(self.context.run)
        self.context.instance.add_run_tags(self.context.run_id, task.tags)

        def touched(table: TableSettings, done: Happening) -> Sequence[str]:
            if table.mode == BATCH:
                return self._windows(table)
            return [name for name in slice_keys(table.partitions) if not slices or name in slices]

        return [
            outcome
            for unit in units(self.config, self.schema)
            if unit.mode == STREAM or not slices
            for outcome in self._each(unit, task.act(self.destination), touched)
        ]

    def _each(self, unit: Unit, act: Act, touched: Touched) -> list[Outcome]:
        """Act on each table of a unit and log what was done; what failed."""
        failed = []
        for outcome in each_table(unit, self._asked(unit), self.context.run_id, act):
            if outcome.error is not None:
                failed.append(outcome)
                continue
            done = done_by(self.destination, TableId(self.schema, outcome.table), self.context.run_id, outcome)
            settings = unit.settings(outcome.table)
            log_materializations(self.context, self.destination, done, touched(settings, done))
        return failed

    def _stream(self, unit: Unit) -> list[Outcome]:
        """Of a table that is loaded now, every slice was touched; of another no partition in particular."""
        before = self.destination.table_states(self.schema)
        loaded = {name for name, state in before.items() if state.is_loaded}
        try:
            bring_up_to_date(unit, self.destination, self.context.run_id)
        except WarpError as error:
            return [Outcome("", error=error)]
        # Where another process streams, this run has no figures: the sensor reports that one's.
        for name in self._asked(unit) or sorted(self.destination.table_states(self.schema)):
            done = done_by(self.destination, TableId(self.schema, name), self.context.run_id, Outcome(name))
            if not done.is_nothing:
                slices = [None] if name in loaded else slice_keys(unit.settings(name).partitions)
                log_materializations(self.context, self.destination, done, slices)
        return []

    def _asked(self, unit: Unit) -> list[str] | None:
        """The tables of the unit's mode that the run is for; None where it is for all that the source has."""
        asked: list[str] = self.context.op_config["tables"]
        for name in asked:
            if not covers(self.config, self.schema, name):
                raise ConfigurationError(
                    "The configuration does not name this table", remedy="Spell it as in the source", table=name
                )
        return [name for name in asked if unit.settings(name).mode == unit.mode] if asked else None

    def _since_marker(self) -> Touched:
        before = self.destination.table_states(self.schema)

        def touched(table: TableSettings, done: Happening) -> Sequence[str]:
            state = before.get(table.table.name)
            if state is None or not state.is_loaded:
                return self._windows(table)
            if done.is_nothing or done.position is None:
                return []
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
