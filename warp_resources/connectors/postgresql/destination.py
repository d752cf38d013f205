"""The PostgreSQL destination: what ``interfaces.Destination`` promises, each call on one connection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import ClassVar

import pyarrow as pa
from pydantic import BaseModel

from warp_resources.connectors.postgresql import (
    closing,
    covering,
    generations,
    kept_letters,
    letters,
    markers,
    opening,
    plans,
    registry,
    reports,
    retention,
    rewrites,
    rollback,
    runs,
    statistics,
)
from warp_resources.connectors.postgresql.check import check_server
from warp_resources.connectors.postgresql.commit import write_batch
from warp_resources.connectors.postgresql.comparison import PostgresComparison, comparison
from warp_resources.connectors.postgresql.migrations import check_metadata, is_prepared, prepare
from warp_resources.connectors.postgresql.options import PostgresOptions
from warp_resources.connectors.postgresql.replaying import write_replay
from warp_resources.connectors.postgresql.rewriting import Pace, advance_rewrite
from warp_resources.connectors.postgresql.session import Connection, Session
from warp_resources.connectors.postgresql.staging import StagingTables
from warp_resources.connectors.postgresql.state import PostgresStateStore
from warp_resources.connectors.rejections import Rejections
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


class PostgresDestination:
    """Rows and metadata in one PostgreSQL database."""

    capabilities: ClassVar[Capabilities] = Capabilities(
        max_row_bytes=8_160, reserved_schemas=("pg_*", "information_schema")
    )
    Options: ClassVar[type[BaseModel]] = PostgresOptions

    def __init__(self, options: PostgresOptions) -> None:
        self._options = options
        self._session = Session(options)
        self._staging = StagingTables(self._session)
        self._rejections = Rejections()
        self._pace = Pace()
        self._checked = 0

    def array_columns(self, table: TableId) -> tuple[str, ...]:
        return ()

    def estimate_work(self, workload: Workload) -> WorkEstimate | None:
        return None

    def state_store(self) -> PostgresStateStore:
        """A state store in this database, with a connection of its own."""
        return PostgresStateStore(self._options)

    def check(self, schemas: Sequence[str] = ()) -> None:
        check_server(self._session, [*schemas, *filter(None, [self._options.schema_name])])
        with self._session.connected() as connection:
            check_metadata(connection)

    def prepare(self) -> None:
        prepare(self._session)

    def table_schemas(self, schema: str) -> dict[str, TableSchema]:
        with self._session.connected() as connection:
            return registry.latest_schemas(connection, schema) if self._is_prepared(connection) else {}

    def schema_versions(self, table: TableId, newest: int | None = None) -> list[SchemaVersion]:
        with self._session.connected() as connection:
            return registry.schema_versions(connection, table, newest) if self._is_prepared(connection) else []

    def plan_rollback(self, table: TableId, version: int) -> Rollback:
        with self._session.transaction() as connection:
            return rollback.plan_rollback(connection, table, version)

    def roll_back(self, table: TableId, version: int, run_id: str) -> Rollback:
        with self._session.transaction() as connection:
            return rollback.roll_back(connection, table, version, run_id)

    def stream_state(self, schema: str) -> StreamState | None:
        with self._session.connected() as connection:
            return markers.stream_state(connection, schema) if self._is_prepared(connection) else None

    def table_states(self, schema: str) -> dict[str, TableState]:
        with self._session.connected() as connection:
            return markers.table_states(connection, schema) if self._is_prepared(connection) else {}

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
        with self._session.transaction() as connection:
            return covering.start_stream(connection, schema, position, lost, generation, errors, run_id, fence)

    def seize_stream(self, schema: str) -> StreamState:
        with self._session.transaction() as connection:
            return markers.seize_stream(connection, schema)

    def admit(
        self,
        commit: StreamCommit,
        tables: Sequence[TableId],
        dismissed: Sequence[TableId],
        *,
        generation: str = "",
    ) -> int:
        with self._session.transaction() as connection:
            return covering.admit(connection, commit, tables, dismissed, generation)

    def seize_table(self, table: TableId, mode: str) -> TableState:
        with self._session.transaction() as connection:
            return covering.seize_table(connection, table, mode)

    def mark_loaded(self, table: TableId) -> None:
        with self._session.transaction() as connection:
            markers.lock_tables(connection, [table], markers.STREAM)
            markers.set_loaded(connection, table)

    def table_plan(self, table: TableId) -> list[KeyRange]:
        with self._session.connected() as connection:
            return plans.table_plan(connection, table) if self._is_prepared(connection) else []

    def save_plan(self, table: TableId, ranges: Sequence[KeyRange]) -> list[KeyRange]:
        with self._session.transaction() as connection:
            markers.lock_tables(connection, [table], markers.STREAM)
            return plans.save_plan(connection, table, ranges)

    def open_generation(
        self,
        table: TableId,
        generation: str,
        slices: Sequence[str] | None = None,
        ceiling: Position | None = None,
        *,
        removes_stale: bool = True,
    ) -> GenerationState:
        with self._session.transaction() as connection:
            return opening.open_reading(connection, table, generation, slices, ceiling, removes_stale=removes_stale)

    def abandon_idle_generations(self, schema: str, idle: timedelta, is_held: Callable[[str], bool]) -> int:
        with self._session.transaction() as connection:
            return closing.abandon_idle(connection, schema, idle, is_held)

    def generations(self, schema: str) -> list[GenerationState]:
        with self._session.connected() as connection:
            return generations.open_generations(connection, schema) if self._is_prepared(connection) else []

    def seize_slice(self, table: TableId, generation: str, slice_name: str) -> tuple[int, SliceState]:
        with self._session.transaction() as connection:
            return generations.seize_slice(connection, table, generation, slice_name)

    def chunk_basis(self, table: TableId) -> ChunkBasis:
        with self._session.connected() as connection:
            return markers.chunk_basis(connection, table)

    def close_generation(self, table: TableId, generation: str, run_id: str) -> int:
        return closing.close_generation(self._session, table, generation, run_id)

    def abandon_generation(self, table: TableId, generation: str, reason: str) -> None:
        with self._session.transaction() as connection:
            closing.abandon(connection, [table], lambda state: state.generation == generation, reason)

    def write(self, batch: ConformedBatch) -> WriteReceipt:
        if isinstance(batch.commit, ReplayCommit):
            return write_replay(self._session, self._staging, batch, batch.commit)
        return write_batch(self._session, self._staging, batch, self._rejections)

    def rewrites(self, schema: str) -> list[RewriteState]:
        with self._session.connected() as connection:
            return rewrites.rewrite_states(connection, schema) if self._is_prepared(connection) else []

    def advance_rewrite(self, table: TableId, run_id: str) -> RewriteState | None:
        return advance_rewrite(self._session, self._pace, table, run_id)

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
        with self._session.transaction() as connection:
            runs.record_run(connection, run_id, table, mode, status, error, start, end)

    def record_errors(self, errors: Sequence[ErrorEntry], run_id: str) -> None:
        with self._session.transaction() as connection:
            letters.add_errors(connection, errors, run_id)

    def dead_letters(self, selection: LetterSelection, *, with_records: bool = True) -> list[KeptLetter]:
        with self._session.connected() as connection:
            if not self._is_prepared(connection):
                return []
            return kept_letters.dead_letters(connection, selection, with_records=with_records)

    def letter_counts(self, selection: LetterSelection) -> list[LetterCount]:
        with self._session.connected() as connection:
            return kept_letters.letter_counts(connection, selection) if self._is_prepared(connection) else []

    def discard_letters(self, selection: LetterSelection) -> int:
        with self._session.transaction() as connection:
            return kept_letters.discard_letters(connection, selection)

    def logged_errors(self, selection: ErrorSelection) -> list[KeptError]:
        with self._session.connected() as connection:
            return kept_letters.logged_errors(connection, selection) if self._is_prepared(connection) else []

    def remove_expired(self, periods: RetentionPeriods, limit: int) -> int:
        return retention.remove_expired(self._session, periods, limit)

    def row_count(self, table: TableId) -> int:
        with self._session.connected() as connection:
            schema = registry.latest_schema(connection, table) if self._is_prepared(connection) else None
            if schema is None or not registry.is_stored(connection, schema):
                return 0
            return reports.row_count(connection, schema)

    def statistics(self, schema: str) -> list[TableStatistics]:
        with self._session.connected() as connection:
            return statistics.statistics(connection, schema) if self._is_prepared(connection) else []

    def recent_runs(self, schema: str, within: timedelta) -> list[RunFigures]:
        with self._session.connected() as connection:
            return reports.recent_runs(connection, schema, within) if self._is_prepared(connection) else []

    def figures_of_run(self, schema: str, run_id: str) -> list[RunFigures]:
        with self._session.connected() as connection:
            return reports.figures_of_run(connection, schema, run_id) if is_prepared(connection) else []

    def finished_slices(self, schema: str, within: timedelta) -> list[FinishedSlice]:
        with self._session.connected() as connection:
            return reports.finished_slices(connection, schema, within) if self._is_prepared(connection) else []

    def comparison(self, table: TableId) -> AbstractContextManager[PostgresComparison]:
        return comparison(self._session, self._staging, table)

    def preview(self, table: TableId, limit: int) -> pa.Table:
        with self._session.connected() as connection:
            schema = self._stored(connection, table)
            return pa.table({}) if schema is None else reports.preview(connection, schema, limit)

    def row_estimate(self, table: TableId) -> int:
        with self._session.connected() as connection:
            schema = self._stored(connection, table)
            return 0 if schema is None else reports.row_estimate(connection, schema)

    def earliest(self, table: TableId, column: str) -> datetime | None:
        with self._session.connected() as connection:
            schema = self._stored(connection, table)
            return None if schema is None else reports.earliest(connection, schema, column)

    def close(self) -> None:
        self._session.close()

    def _is_prepared(self, connection: Connection) -> bool:
        """Whether there is metadata to read; what is not ours, or of a later version, is refused first."""
        if self._checked != self._session.serial:
            check_metadata(connection)
            self._checked = self._session.serial
        return is_prepared(connection)

    def _stored(self, connection: Connection, table: TableId) -> TableSchema | None:
        """The schema of a table that exists."""
        schema = registry.latest_schema(connection, table) if self._is_prepared(connection) else None
        return schema if schema is not None and registry.is_stored(connection, schema) else None
