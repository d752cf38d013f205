"""The in-memory destination: for dry runs, tests and as the shortest example of a connector."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, ClassVar

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from warp_resources.connectors.memory import generations, letters, reports, retention, rollback, runs, statistics
from warp_resources.connectors.memory.comparison import MemoryComparison
from warp_resources.connectors.memory.replaying import write_replay
from warp_resources.connectors.memory.rows import plain_rows
from warp_resources.connectors.memory.state import MemoryStateStore
from warp_resources.connectors.memory.store import STREAM, Contents, MemoryStore, now
from warp_resources.connectors.memory.write import demand_fence, write
from warp_resources.connectors.openings import replaces
from warp_resources.errors import GenerationClosed, OperatorError
from warp_resources.model.batches import ConformedBatch, ErrorEntry, WriteReceipt
from warp_resources.model.capabilities import Capabilities
from warp_resources.model.letters import ErrorSelection, KeptError, KeptLetter, LetterCount, LetterSelection
from warp_resources.model.positions import (
    ChunkBasis,
    GenerationState,
    KeyRange,
    Position,
    ReplayCommit,
    SliceState,
    StreamCommit,
    StreamState,
    TableState,
)
from warp_resources.model.reports import FinishedSlice, RunFigures
from warp_resources.model.retention import RetentionPeriods
from warp_resources.model.rewrites import RewriteState
from warp_resources.model.statistics import TableStatistics
from warp_resources.model.tables import TableId, TableSchema
from warp_resources.model.versions import Rollback, SchemaVersion
from warp_resources.model.work import WorkEstimate, Workload

_NOT_ASIDE: dict[str, Any] = {"aside_position": None, "aside_reason": None, "aside_since": None}
# What Python's datetime holds: years 1 to 9999.
_TIMESTAMP_RANGE = (-62_135_596_800_000_000, 253_402_300_799_999_999)


class MemoryOptions(BaseModel):
    """Which store to write to: destinations of one name share it, as processes share a server."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    store: str = Field("default", description="Name of the store within this process.")


class MemoryDestination:
    """A ``Destination`` whose tables are dictionaries; everything goes when the process ends."""

    capabilities: ClassVar[Capabilities] = Capabilities(
        max_name_bytes=2**16, max_columns=2**16, timestamp_range=_TIMESTAMP_RANGE, refused_text="", max_key_bytes=2**24
    )
    Options: ClassVar[type[BaseModel]] = MemoryOptions

    def __init__(self, options: MemoryOptions) -> None:
        self.store = MemoryStore.named(options.store)

    def rows(self, table: TableId) -> list[dict[str, Any]]:
        """The rows of a table as plain Python values, in the order of their first arrival."""
        stored = self.store.contents.tables.get(table)
        return plain_rows(stored) if stored is not None else []

    def state_store(self) -> MemoryStateStore:
        """The leases and mandates kept beside the rows."""
        return MemoryStateStore(self.store)

    def check(self, schemas: Sequence[str] = ()) -> None:
        """Nothing to reach."""

    def prepare(self) -> None:
        """Nothing to make: a store is born with its metadata."""

    def table_schemas(self, schema: str) -> dict[str, TableSchema]:
        return {
            table.name: stored.versions[-1].schema
            for table, stored in self.store.contents.tables.items()
            if table.schema == schema and stored.versions
        }

    def schema_versions(self, table: TableId, newest: int | None = None) -> list[SchemaVersion]:
        stored = self.store.contents.tables.get(table)
        return stored.versions[-newest if newest else 0 :] if stored is not None else []

    def plan_rollback(self, table: TableId, version: int) -> Rollback:
        return rollback.plan_rollback(self.store.contents, table, version)

    def roll_back(self, table: TableId, version: int, run_id: str) -> Rollback:
        with self.store.transaction() as draft:
            return rollback.roll_back(draft, table, version, run_id)

    def stream_state(self, schema: str) -> StreamState | None:
        return self.store.contents.streams.get(schema)

    def table_states(self, schema: str) -> dict[str, TableState]:
        tables = self.store.contents.tables.items()
        return {table.name: stored.state for table, stored in tables if table.schema == schema}

    def start_stream(
        self,
        schema: str,
        position: Position,
        lost: Sequence[TableId] = (),
        *,
        generation: str = "",
        errors: Sequence[ErrorEntry] = (),
        run_id: str = "",
        fence: StreamCommit | None = None,
    ) -> StreamState:
        with self.store.transaction() as draft:
            known = draft.streams.get(schema)
            if known is not None and fence is not None:
                demand_fence(draft, fence)
            sequence, epoch = (known.sequence + 1, known.epoch + 1) if known else (1, 1)
            draft.streams[schema] = StreamState(position, sequence, epoch, now())
            for table in lost:
                generations.abandon_all(draft, table, "the stream starts anew")
                _cover(draft, table, position)
                if generation:
                    generations.open_whole(draft, table, generation)
            for entry in errors:
                draft.log_error(entry, run_id)
            return draft.streams[schema]

    def seize_stream(self, schema: str) -> StreamState:
        with self.store.transaction() as draft:
            known = draft.streams.get(schema)
            if known is None:
                raise OperatorError("The stream was never started", remedy="Call start_stream first", schema=schema)
            draft.streams[schema] = replace(known, epoch=known.epoch + 1, updated_at=now())
            return draft.streams[schema]

    def admit(
        self,
        commit: StreamCommit,
        tables: Sequence[TableId],
        dismissed: Sequence[TableId],
        *,
        generation: str = "",
    ) -> int:
        with self.store.transaction() as draft:
            demand_fence(draft, commit)
            for table in tables:
                generations.abandon_all(draft, table, "it began before the stream covered the table")
                _cover(draft, table, commit.position)
                if generation:
                    generations.open_whole(draft, table, generation)
            for table in dismissed:
                _cover(draft, table, None)
                generations.abandon_all(draft, table, "the stream no longer covers the table")
            stream = draft.streams[commit.schema]
            draft.streams[commit.schema] = replace(stream, sequence=stream.sequence + 1, updated_at=now())
            return stream.sequence + 1

    def seize_table(self, table: TableId, mode: str) -> TableState:
        with self.store.transaction() as draft:
            stored = draft.table(table, mode)
            if stored.state.mode != mode:
                generations.abandon_all(draft, table, f"the table is of mode {mode} now")
                stored.state = replace(
                    stored.state, mode=mode, is_loaded=False, covered_from=None, position=None, **_NOT_ASIDE
                )
            stored.state = replace(stored.state, epoch=stored.state.epoch + 1, updated_at=now())
            return stored.state

    def mark_loaded(self, table: TableId) -> None:
        with self.store.transaction() as draft:
            stored = draft.table(table)
            stored.state = replace(stored.state, is_loaded=True, updated_at=now())

    def table_plan(self, table: TableId) -> list[KeyRange]:
        stored = self.store.contents.tables.get(table)
        return list(stored.plan) if stored is not None else []

    def save_plan(self, table: TableId, ranges: Sequence[KeyRange]) -> list[KeyRange]:
        with self.store.transaction() as draft:
            stored = draft.table(table)
            if replaces(stored.plan, ranges, is_read=bool(draft.open_generations(table))):
                stored.plan = list(ranges)
            return list(stored.plan)

    def open_generation(
        self,
        table: TableId,
        generation: str,
        slices: Sequence[str] | None = None,
        ceiling: Position | None = None,
        *,
        removes_stale: bool = True,
    ) -> GenerationState:
        with self.store.transaction() as draft:
            return generations.open_generation(draft, table, generation, slices, ceiling, removes_stale=removes_stale)

    def abandon_idle_generations(self, schema: str, idle: timedelta, is_held: Callable[[str], bool]) -> int:
        with self.store.transaction() as draft:
            return generations.abandon_idle(draft, schema, idle, is_held)

    def generations(self, schema: str) -> list[GenerationState]:
        return [opened for (table, _), opened in self.store.contents.generations.items() if table.schema == schema]

    def seize_slice(self, table: TableId, generation: str, slice_name: str) -> tuple[int, SliceState]:
        with self.store.transaction() as draft:
            stored = draft.table(table)
            opened = draft.generations.get((table, generation))
            if opened is None:
                raise GenerationClosed("The generation is not open", remedy="Start a new resync", table=table)
            part = next((part for part in opened.slices if part.name == slice_name), None)
            if part is None:
                raise OperatorError(
                    "The slice is not open", remedy="Open its generation first", table=table, slice=slice_name
                )
            stored.slice_epochs[slice_name] = stored.slice_epochs.get(slice_name, 0) + 1
            stored.slice_readings[slice_name] = generation
            return stored.slice_epochs[slice_name], part

    def chunk_basis(self, table: TableId) -> ChunkBasis:
        contents = self.store.contents
        stored, stream = contents.tables.get(table), contents.streams.get(table.schema)
        if stored is None:
            return ChunkBasis(0, stream.position if stream else None)
        return ChunkBasis(stored.state.sequence, stream.position if stream else None, stored.state.aside_position)

    def close_generation(self, table: TableId, generation: str, run_id: str) -> int:
        with self.store.transaction() as draft:
            return generations.close_generation(draft, table, generation)

    def abandon_generation(self, table: TableId, generation: str, reason: str) -> None:
        with self.store.transaction() as draft:
            generations.abandon(draft, table, generation, reason)

    def write(self, batch: ConformedBatch) -> WriteReceipt:
        with self.store.transaction() as draft:
            if isinstance(batch.commit, ReplayCommit):
                return write_replay(draft, batch, batch.commit)
            return write(draft, batch)

    def rewrites(self, schema: str) -> list[RewriteState]:
        return []

    def advance_rewrite(self, table: TableId, run_id: str) -> RewriteState | None:
        return None

    def record_run(
        self,
        run_id: str,
        table: TableId,
        mode: str,
        status: str,
        error: str | None = None,
        start: Position | None = None,
        end: Position | None = None,
    ) -> None:
        with self.store.transaction() as draft:
            runs.record_run(draft, run_id, table, mode, status, error, start, end)

    def record_errors(self, errors: Sequence[ErrorEntry], run_id: str) -> None:
        with self.store.transaction() as draft:
            for entry in errors:
                draft.log_error(entry, run_id)

    def dead_letters(self, selection: LetterSelection, *, with_records: bool = True) -> list[KeptLetter]:
        return letters.dead_letters(self.store.contents, selection, with_records=with_records)

    def letter_counts(self, selection: LetterSelection) -> list[LetterCount]:
        return letters.letter_counts(self.store.contents, selection)

    def discard_letters(self, selection: LetterSelection) -> int:
        with self.store.transaction() as draft:
            return letters.discard_letters(draft, selection)

    def logged_errors(self, selection: ErrorSelection) -> list[KeptError]:
        return letters.logged_errors(self.store.contents, selection)

    def remove_expired(self, periods: RetentionPeriods, limit: int) -> int:
        with self.store.transaction() as draft:
            return retention.remove_expired(draft, periods, limit)

    def row_count(self, table: TableId) -> int:
        stored = self.store.contents.tables.get(table)
        return sum(map(stored.is_live, stored.rows.values())) if stored is not None else 0

    def statistics(self, schema: str) -> list[TableStatistics]:
        return statistics.statistics(self.store.contents, schema)

    def recent_runs(self, schema: str, within: timedelta) -> list[RunFigures]:
        return reports.recent_runs(self.store.contents, schema, within)

    def figures_of_run(self, schema: str, run_id: str) -> list[RunFigures]:
        return reports.figures_of_run(self.store.contents, schema, run_id)

    def finished_slices(self, schema: str, within: timedelta) -> list[FinishedSlice]:
        return reports.finished_slices(self.store.contents, schema, within)

    def comparison(self, table: TableId) -> MemoryComparison:
        return MemoryComparison(self.store, table)

    def preview(self, table: TableId, limit: int) -> pa.Table:
        return reports.preview(self.rows(table), limit)

    def row_estimate(self, table: TableId) -> int:
        return self.row_count(table)

    def earliest(self, table: TableId, column: str) -> datetime | None:
        stored = self.store.contents.tables.get(table)
        return reports.earliest(stored, column) if stored is not None else None

    def array_columns(self, table: TableId) -> tuple[str, ...]:
        return ()

    def estimate_work(self, workload: Workload) -> WorkEstimate | None:
        return None

    def close(self) -> None:
        """Nothing to close: the store outlives its destinations."""


def _cover(draft: Contents, table: TableId, position: Position | None) -> None:
    stored = draft.table(table)
    stored.state = replace(
        stored.state, mode=STREAM, covered_from=position, is_loaded=False, position=None, updated_at=now(), **_NOT_ASIDE
    )
