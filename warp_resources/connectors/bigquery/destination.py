"""The BigQuery destination: what ``interfaces.Destination`` promises."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import datetime, timedelta
from functools import partial
from typing import ClassVar, TypeVar

import pyarrow as pa
from pydantic import BaseModel

from warp_resources.connectors.bigquery import (
    closing,
    kept_letters,
    readings,
    remaking,
    reports,
    retention,
    runs,
    transitions,
    versions,
)
from warp_resources.connectors.bigquery.changing import Work, change, changed_with
from warp_resources.connectors.bigquery.check import check_service
from warp_resources.connectors.bigquery.commit import write_batch
from warp_resources.connectors.bigquery.comparison import comparison
from warp_resources.connectors.bigquery.control import ControlRows, Draft, TableRow, read_control
from warp_resources.connectors.bigquery.evolve import finish
from warp_resources.connectors.bigquery.layout import layout_of
from warp_resources.connectors.bigquery.merge import literal
from warp_resources.connectors.bigquery.options import BigQueryDestinationOptions
from warp_resources.connectors.bigquery.quotas import estimated_work
from warp_resources.connectors.bigquery.repeating import Unrepeated
from warp_resources.connectors.bigquery.replaying import write_replay
from warp_resources.connectors.bigquery.session import Session
from warp_resources.connectors.bigquery.table_failures import concerning
from warp_resources.connectors.bigquery.types import BIGNUMERIC_DIGITS, NUMERIC_DIGITS
from warp_resources.connectors.bigquery.views import show_schemas
from warp_resources.connectors.bigquery.warehouse import Warehouse
from warp_resources.connectors.interfaces import Comparison
from warp_resources.connectors.local_state import LocalStateStore, default_state_file
from warp_resources.errors import SchemaMoved
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

# Years 1 to 9999, as Python's datetime.
_TIMESTAMPS = (-62_135_596_800_000_000, 253_402_300_799_999_999)
_DATES = (-719_162, 2_932_896)
# https://cloud.google.com/bigquery/docs/schemas#column_names
_RESERVED_PREFIXES = (
    "_TABLE_",
    "_FILE_",
    "_PARTITION",
    "_ROW_TIMESTAMP",
    "__ROOT__",
    "_COLIDENTIFIER",
    "_CHANGE_SEQUENCE_NUMBER",
    "_CHANGE_TYPE",
    "_CHANGE_TIMESTAMP",
)
Result = TypeVar("Result")


class BigQueryDestination:
    """Rows and metadata in the datasets of one project."""

    capabilities: ClassVar[Capabilities] = Capabilities(
        transactional_ddl=False,
        max_name_bytes=300,
        max_columns=9_000,
        case_sensitive=False,
        timestamp_range=_TIMESTAMPS,
        date_range=_DATES,
        refused_text="",
        numeric_digits=NUMERIC_DIGITS,
        declared_digits=BIGNUMERIC_DIGITS,
        numeric_specials=False,
        numeric_scale=False,
        wide_json_numbers=False,
        max_key_bytes=1_000_000,
        name_categories=("L", "M", "N", "Pc", "Pd", "Zs"),
        column_symbols="&%=+:'<>#|",
        reserved_name_prefixes=_RESERVED_PREFIXES,
        schema_pattern="[A-Za-z0-9_]+",
        keeps_schema_names=True,
        min_interval=timedelta(seconds=30),
        idle_save=timedelta(minutes=10),
        patience=timedelta(seconds=20),
        has_constraints=False,
        has_gradual_rewrites=False,
    )
    Options: ClassVar[type[BaseModel]] = BigQueryDestinationOptions

    def __init__(self, options: BigQueryDestinationOptions) -> None:
        self._options = options
        self._session = Session(options, job_timeout=options.transaction_timeout)
        self._warehouse = Warehouse(self._session, options.metadata_dataset, options.staging_dataset)
        self._layout = layout_of(options)
        self._unrepeated = Unrepeated(self._layout)

    def array_columns(self, table: TableId) -> tuple[str, ...]:
        return self._layout.of(table).repeated

    def estimate_work(self, workload: Workload) -> WorkEstimate | None:
        return estimated_work(workload)

    def state_store(self) -> LocalStateStore:
        """Leases and mandates in a local file: here they would be jobs that cost something."""
        name = f"bigquery-{self._options.project_id}-{self._options.metadata_dataset}"
        return LocalStateStore(self._options.state_file or default_state_file(name))

    def check(self, schemas: Sequence[str] = ()) -> None:
        own = [self._options.metadata_dataset, self._options.staging_dataset]
        check_service(self._session, [*own, *schemas, *filter(None, [self._options.schema_name])])

    def prepare(self) -> None:
        self._warehouse.make_datasets()
        self._warehouse.make_logs()
        show_schemas(self._warehouse)

    def table_schemas(self, schema: str) -> dict[str, TableSchema]:
        found = {name: row.schema for name, row in self._read(schema).tables.items() if row.schema is not None}
        self._unrepeated.tell(found.values())
        return found

    def schema_versions(self, table: TableId, newest: int | None = None) -> list[SchemaVersion]:
        return versions.schema_versions(self._warehouse, table, newest) if self._row(table) is not None else []

    def plan_rollback(self, table: TableId, version: int) -> Rollback:
        return versions.plan_rollback(self._warehouse, self._row(table), table, version)

    def roll_back(self, table: TableId, version: int, run_id: str) -> Rollback:
        return versions.roll_back(self._warehouse, self._layout, table, version, run_id)

    def stream_state(self, schema: str) -> StreamState | None:
        return self._read(schema).own.stream

    def table_states(self, schema: str) -> dict[str, TableState]:
        return {name: row.state for name, row in self._read(schema).tables.items()}

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
        def decide(draft: Draft) -> StreamState:
            return transitions.start_stream(draft, position, lost, generation, errors, run_id, fence)

        state = self._change(schema, decide, "start")
        self._make_again(schema, lost if generation else ())
        return state

    def seize_stream(self, schema: str) -> StreamState:
        return self._change(schema, transitions.seize_stream, "seize")

    def admit(
        self,
        commit: StreamCommit,
        tables: Sequence[TableId],
        dismissed: Sequence[TableId],
        *,
        generation: str = "",
    ) -> int:
        def decide(draft: Draft) -> int:
            return transitions.admit(draft, commit, tables, dismissed, generation)

        sequence = self._change(commit.schema, decide, "admit")
        self._make_again(commit.schema, tables if generation else ())
        return sequence

    def seize_table(self, table: TableId, mode: str) -> TableState:
        return self._change(table.schema, lambda draft: transitions.seize_table(draft, table, mode), "seize")

    def mark_loaded(self, table: TableId) -> None:
        self._change(table.schema, lambda draft: transitions.mark_loaded(draft, table), "mark")

    def table_plan(self, table: TableId) -> list[KeyRange]:
        row = self._row(table)
        return list(row.plan) if row is not None else []

    def save_plan(self, table: TableId, ranges: Sequence[KeyRange]) -> list[KeyRange]:
        return self._change(table.schema, lambda draft: transitions.save_plan(draft, table, ranges), "plan")

    def open_generation(
        self,
        table: TableId,
        generation: str,
        slices: Sequence[str] | None = None,
        ceiling: Position | None = None,
        *,
        removes_stale: bool = True,
    ) -> GenerationState:
        row = self._row(table)
        is_gone = remaking.is_gone(self._warehouse, row)

        def decide(draft: Draft) -> GenerationState:
            if is_gone:
                remaking.forget_readings(draft, table)
            opened = readings.open_generation(draft, table, generation, slices, ceiling, removes_stale=removes_stale)
            if is_gone and opened.is_whole:
                remaking.forget_rows(draft, table, self._layout)
            return opened

        opened = self._change(table.schema, decide, "open")
        if is_gone and opened.is_whole:
            self._make(table)
        return opened

    def abandon_idle_generations(self, schema: str, idle: timedelta, is_held: Callable[[str], bool]) -> int:
        return self._change(schema, lambda draft: readings.abandon_idle(draft, idle, is_held), "abandon")

    def generations(self, schema: str) -> list[GenerationState]:
        return readings.open_generations(Draft.of(self._read(schema)))

    def seize_slice(self, table: TableId, generation: str, slice_name: str) -> tuple[int, SliceState]:
        def decide(draft: Draft) -> tuple[int, SliceState]:
            return readings.seize_slice(draft, table, generation, slice_name)

        return self._change(table.schema, decide, "seize")

    def chunk_basis(self, table: TableId) -> ChunkBasis:
        rows = self._read(table.schema)
        return transitions.chunk_basis(rows.tables.get(table.name), rows.own.stream)

    def close_generation(self, table: TableId, generation: str, run_id: str) -> int:
        self._settle(table)
        row = self._row(table)
        with concerning(self._warehouse, [row.schema] if row is not None and row.schema is not None else []):
            return closing.close_generation(self._warehouse, table, generation, run_id)

    def abandon_generation(self, table: TableId, generation: str, reason: str) -> None:
        self._change(table.schema, lambda draft: readings.abandon(draft, table, generation, reason), "abandon")

    def write(self, batch: ConformedBatch) -> WriteReceipt:
        self._unrepeated.tell(part.schema for part in batch.tables if part.changes)
        if isinstance(batch.commit, ReplayCommit):
            with concerning(self._warehouse, [part.schema for part in batch.tables]):
                return write_replay(self._warehouse, self._layout, batch, batch.commit)
        return write_batch(self._warehouse, self._layout, batch)

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
        def decide(draft: Draft) -> tuple[None, Work]:
            runs.record_run(draft, run_id, table, mode, status, error, start, end)
            return None, Work(runs.archive(self._warehouse, runs.old_runs(draft)))

        changed_with(self._warehouse, table.schema, decide, kind="run")

    def record_errors(self, errors: Sequence[ErrorEntry], run_id: str) -> None:
        def decide(draft: Draft) -> None:
            for entry in errors:
                draft.log_error(entry, run_id)

        for schema in sorted({entry.table.schema for entry in errors}):
            self._change(schema, decide, "errors")

    def dead_letters(self, selection: LetterSelection, *, with_records: bool = True) -> list[KeptLetter]:
        if not self._read(selection.schema).revision:
            return []
        return kept_letters.dead_letters(self._warehouse, selection, with_records=with_records)

    def letter_counts(self, selection: LetterSelection) -> list[LetterCount]:
        if not self._read(selection.schema).revision:
            return []
        return kept_letters.letter_counts(self._warehouse, selection)

    def discard_letters(self, selection: LetterSelection) -> int:
        return kept_letters.discard_letters(self._warehouse, selection)

    def logged_errors(self, selection: ErrorSelection) -> list[KeptError]:
        if not self._read(selection.schema).revision:
            return []
        return kept_letters.logged_errors(self._warehouse, selection)

    def remove_expired(self, periods: RetentionPeriods, limit: int) -> int:
        return retention.remove_expired(self._warehouse, periods)

    def row_count(self, table: TableId) -> int:
        row = self._row(table)
        if row is None or row.schema is None or self._session.table(self._warehouse.full(row.schema)) is None:
            return 0
        return reports.row_count(self._session, self._warehouse.table(row.schema), row.schema)

    def statistics(self, schema: str) -> list[TableStatistics]:
        return reports.statistics(self._read(schema))

    def recent_runs(self, schema: str, within: timedelta) -> list[RunFigures]:
        rows = self._read(schema)
        ended = []
        if within > runs.KEPT_FOR and rows.revision:
            oldest = f"finished_at > timestamp_sub(current_timestamp(), interval {int(within.total_seconds())} second)"
            ended = reports.ended_runs(self._warehouse, schema, oldest)
        return reports.recent_runs(rows, within, ended)

    def figures_of_run(self, schema: str, run_id: str) -> list[RunFigures]:
        rows = self._read(schema)
        found = [reports.figures(run) for run in rows.runs.values() if run.run_id == run_id]
        if found or not rows.revision:
            return found
        return reports.ended_runs(self._warehouse, schema, f"run_id = {literal(run_id)}")

    def finished_slices(self, schema: str, within: timedelta) -> list[FinishedSlice]:
        return reports.finished_slices(self._read(schema), within)

    def comparison(self, table: TableId) -> AbstractContextManager[Comparison]:
        return comparison(self._warehouse, table)

    def preview(self, table: TableId, limit: int) -> pa.Table:
        row = self._row(table)
        if row is None or row.schema is None:
            return pa.table({})
        return reports.preview(self._session, self._warehouse.full(row.schema), limit)

    def row_estimate(self, table: TableId) -> int:
        row = self._row(table)
        found = self._session.table(self._warehouse.full(row.schema)) if row is not None and row.schema else None
        return int(found.num_rows or 0) if found is not None else 0

    def earliest(self, table: TableId, column: str) -> datetime | None:
        row = self._row(table)
        if row is None or row.schema is None:
            return None
        return reports.earliest(self._session, self._warehouse.table(row.schema), row.schema, column)

    def close(self) -> None:
        self._session.close()

    def _read(self, schema: str) -> ControlRows:
        return read_control(self._session, self._options.metadata_dataset, schema)

    def _row(self, table: TableId) -> TableRow | None:
        return self._read(table.schema).tables.get(table.name)

    def _change(self, schema: str, decide: Callable[[Draft], Result], kind: str) -> Result:
        return change(self._warehouse, schema, decide, kind=kind)

    def _make_again(self, schema: str, tables: Sequence[TableId]) -> None:
        """Make those of these tables again that are gone; whole readings of them are open."""
        known = self._read(schema).tables if tables else {}
        for table in tables:
            row = known.get(table.name)
            if row is not None and remaking.is_gone(self._warehouse, row):
                self._change(schema, partial(remaking.forget_rows, table=table, layout=self._layout), "remake")
                self._make(table)

    def _make(self, table: TableId) -> None:
        """Make a table again that is gone."""
        row = self._row(table)
        if row is not None:
            remaking.make_again(self._warehouse, self._layout, row)

    def _settle(self, table: TableId) -> None:
        """Finish a schema change of a table that somebody has begun."""
        row = self._row(table)
        if row is not None and row.intent is not None:
            # Whoever was faster has settled it.
            with suppress(SchemaMoved):
                finish(self._warehouse, self._layout, row.intent)
