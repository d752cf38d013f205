"""Tells Dagster what an engine process of its own has done since the last tick: it reports nothing itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import dagster as dg

from warp_resources.config import TableSettings
from warp_resources.connectors.interfaces import Destination, Source
from warp_resources.dagster_bridge import keys
from warp_resources.dagster_bridge.metadata import Happening, materialization_metadata
from warp_resources.dagster_bridge.partitions import slice_keys
from warp_resources.model.positions import Position, TableState
from warp_resources.model.reports import FinishedSlice, RunFigures
from warp_resources.model.tables import TableId
from warp_resources.pipeline.engine import STREAM
from warp_resources.pipeline.shares import partitions_of
from warp_resources.pipeline.snapshot import ENGINE_PREFIXES
from warp_sensors.memory import Counts, Memory, counts_of, difference, total

SECONDS_BETWEEN = 60.0
"""At most one report of a table within this time."""

CHANGES_SECONDS, SLICES_SECONDS = 5.0, 3.0
"""Of one tick: what there is to tell beyond is for the next one, since the mandate waits for neither."""

MOST_EVENTS = 50
"""Of one tick, slices and changes apart: a busy storage of Dagster's takes 100 ms for each before the next tick."""

_RUNS_WITHIN = timedelta(hours=1)
_SLICES_WITHIN = timedelta(hours=1)
_GENERATION = "generation"


@dataclass(frozen=True, slots=True)
class Reporter:
    """Reads the metadata of one schema, whose tables Dagster knows by ``tables``."""

    schema: str
    tables: Mapping[str, TableSettings]
    source: Source
    destination: Destination
    instance: dg.DagsterInstance

    def events(
        self, memory: Memory, now: float, states: Mapping[str, TableState] | None = None
    ) -> list[dg.AssetMaterialization]:
        """What there is to report; ``memory`` is changed to what will have been reported then."""
        states = self.destination.table_states(self.schema) if states is None else states
        known = {name: state for name, state in states.items() if name in self.tables}
        is_moved = any(state.sequence != memory.table(name).sequence for name, state in known.items())
        # Where none is remembered, one may have been read to its end without a row.
        is_due = not memory.slices and now - memory.slices_at >= SECONDS_BETWEEN
        slices: list[dg.AssetMaterialization] = []
        if is_moved or memory.has_more_slices or is_due:
            slices, memory.slices_at = self._slices(memory), now
        due = [
            name
            for name, state in sorted(known.items())
            if state.sequence != memory.table(name).sequence and now - memory.table(name).at >= SECONDS_BETWEEN
        ]
        # Who has waited longest comes first, where there is more than a tick can tell.
        due.sort(key=lambda name: memory.table(name).at)
        return [*slices, *(self._changes(memory, known, due, now) if due else [])]

    def _changes(
        self, memory: Memory, states: Mapping[str, TableState], due: Iterable[str], now: float
    ) -> list[dg.AssetMaterialization]:
        """One event for each table, with what was done to it in all since its last; the first one at least."""
        until = time.monotonic() + CHANGES_SECONDS
        runs, schemas = self._own_runs(), self.destination.table_schemas(self.schema)
        found: list[dg.AssetMaterialization] = []
        for name in due:
            if found and (len(found) >= MOST_EVENTS or time.monotonic() >= until):
                break
            mine = [run for run in runs if run.table.name == name]
            reported = memory.table(name)
            added = total([difference(counts_of(run), reported.counts.get(_key(run))) for run in mine])
            reported.at, reported.sequence = now, states[name].sequence
            reported.counts = {_key(run): counts_of(run) for run in mine}
            happening = self._happening(states[name], mine, added)
            if not happening.is_nothing:
                is_altered = reported.version != states[name].schema_version
                reported.version = states[name].schema_version
                metadata = materialization_metadata(
                    self.destination, self.instance, happening, schemas, tells_versions=is_altered
                )
                found.append(dg.AssetMaterialization(keys.asset_key(happening.table), metadata=metadata))
        return found

    def _happening(self, state: TableState, runs: Sequence[RunFigures], added: Counts) -> Happening:
        written, deleted, rejected, size = added
        position = next((run.position for run in reversed(runs) if run.mode == STREAM), state.position)
        return Happening(
            table=state.table,
            rows_written=written,
            rows_deleted=deleted,
            rows_rejected=rejected,
            byte_count=size,
            position=position,
            lag_seconds=self._lag(state, position),
            aside_reason=state.aside_reason,
        )

    def _lag(self, state: TableState, position: Position | None) -> float | None:
        """How old the table's last change was when it was committed; nothing of a first load, nor of a batch."""
        if state.mode != STREAM or position is None or state.updated_at is None:
            return None
        at = self.source.time_of(position)
        return None if at is None else max(0.0, (state.updated_at - at).total_seconds())

    def _own_runs(self) -> list[RunFigures]:
        """The runs that are none of Dagster's: those report themselves."""
        runs = self.destination.recent_runs(self.schema, _RUNS_WITHIN)
        is_dagsters = _remembered(self.instance.has_run)
        return [run for run in runs if run.table.name and not is_dagsters(run.run_id)]

    def _slices(self, memory: Memory) -> list[dg.AssetMaterialization]:
        """The partitions of stream tables that an engine process has read to their end."""
        finished = self.destination.finished_slices(self.schema, _SLICES_WITHIN)
        is_dagsters = _remembered(self.instance.has_run)
        by_generation: dict[tuple[TableId, str], list[str]] = {}
        for part in finished:
            if self._is_own(part) and not is_dagsters(part.generation.partition("-")[2]):
                by_generation.setdefault((part.table, part.generation), []).append(part.name)
        until = time.monotonic() + SLICES_SECONDS
        remembered, memory.slices, memory.has_more_slices = memory.slices, {}, False
        found: list[dg.AssetMaterialization] = []
        for (table, generation), names in by_generation.items():
            key = f"{table.name}/{generation}"
            if found and (len(found) >= MOST_EVENTS or time.monotonic() >= until):
                memory.slices[key], memory.has_more_slices = remembered.get(key, []), True
                continue
            read = self._with_empty(table, names)
            memory.slices[key] = read
            found += [
                dg.AssetMaterialization(
                    keys.asset_key(table), partition=name, metadata={_GENERATION: dg.MetadataValue.text(generation)}
                )
                for name in read
                if name not in remembered.get(key, [])
            ]
        return found

    def _is_own(self, part: FinishedSlice) -> bool:
        settings = self.tables.get(part.table.name)
        return settings is not None and settings.mode == STREAM and part.generation.startswith(ENGINE_PREFIXES)

    def _with_empty(self, table: TableId, names: list[str]) -> list[str]:
        """The partitions that slices make: a plan may have more of them than partitions, or fewer."""
        partitions = slice_keys(self.tables[table.name].partitions)
        return partitions_of(names, len(partitions), len(self.destination.table_plan(table)))


def _key(run: RunFigures) -> str:
    return f"{run.run_id}/{run.mode}"


def _remembered(ask: Callable[[str], bool]) -> Callable[[str], bool]:
    answers: dict[str, bool] = {}

    def answer(question: str) -> bool:
        if question not in answers:
            answers[question] = ask(question)
        return answers[question]

    return answer
