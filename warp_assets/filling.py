"""Decides what a run is to do to each table, from its partitions, tags and configuration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import dagster as dg

from warp_assets.generations import BACKFILL_TAG, FULL_RESYNC_TAG, MODE_TAG, own_generation, slice_reading
from warp_assets.progress import told_in
from warp_assets.work import Act
from warp_resources.config import PartitionSettings
from warp_resources.connectors.interfaces import Destination
from warp_resources.dagster_bridge.partitions import DAY
from warp_resources.dagster_bridge.windows import Window, spans
from warp_resources.pipeline.batch import WINDOW, sync_slices, sync_table, sync_window
from warp_resources.pipeline.engine import BATCH, STREAM, Engine, Unit
from warp_resources.pipeline.hash_tick import HASH
from warp_resources.pipeline.parallel import ReadingWish
from warp_resources.pipeline.report import SyncReport
from warp_resources.pipeline.resync import SNAPSHOT, resync_table

INCREMENTAL, RESYNC = "incremental", "resync"
KEY = "key"
"""What the partitions of tables without a marker are by."""


@dataclass(frozen=True, slots=True)
class Task:
    """What to do to each table; ``act`` needs a destination to look things up in."""

    mode: str
    act: Callable[[Destination], Act]
    is_whole: bool = False

    @property
    def tags(self) -> dict[str, str]:
        """Of the run. A re-execution inherits them, so that one of a single slice must not say full resync."""
        return {MODE_TAG: self.mode, FULL_RESYNC_TAG: str(self.is_whole).lower()}


def task(context: dg.AssetExecutionContext, unit: Unit, partitions: PartitionSettings) -> Task:
    """Resync what is selected of a stream table; of a batch table the windows, or what is new."""
    # A run over a range of partitions has no partition key of its own, but always a list of them.
    is_partitioned = context.has_partition_key or context.has_partition_key_range
    selected = list(context.partition_keys) if is_partitioned else []
    # A backfill of slices with the tag is many runs, which together read the whole table already.
    is_part = unit.mode == STREAM and BACKFILL_TAG in context.run.tags
    if not is_part and wants_full_resync(context.run, context.op_execution_context.op_config["full_resync"]):
        return whole_resync(context.run, told_in(context.log))
    if unit.mode == STREAM:
        return _slices(context, selected) if selected else whole_resync(context.run, told_in(context.log))
    if partitions.by == KEY:
        return compared(selected) if selected else incremental()
    return windows(spans(partitions.every or DAY, selected)) if selected else incremental()


def wants_full_resync(run: dg.DagsterRun, configured: bool) -> bool:
    return configured or run.tags.get(FULL_RESYNC_TAG, "").lower() == "true"


def whole_resync(run: dg.DagsterRun, wish: ReadingWish) -> Task:
    """Read whole tables again; a re-execution of the run goes on where it stopped."""
    generation = own_generation(run)

    def act(engine: Engine, name: str) -> SyncReport:
        report = resync_table(engine, name, generation, wish=wish)
        return _finished(engine, report, SNAPSHOT if engine.unit.mode == STREAM else BATCH)

    return Task(RESYNC, lambda destination: act, is_whole=True)


def incremental() -> Task:
    """What is new since the marker."""
    return Task(INCREMENTAL, lambda destination: sync_table)


def windows(spans: Sequence[Window]) -> Task:
    """Upsert windows of the marker column."""

    def act(engine: Engine, name: str) -> SyncReport:
        if engine.unit.settings(name).strategy == HASH:
            # It has no marker to cut a window of.
            return sync_table(engine, name)
        reports = [sync_window(engine, name, span.since, span.until, unmarked=span.unmarked) for span in spans]
        return _finished(engine, reports[-1], WINDOW)

    return Task(WINDOW, lambda destination: act)


def compared(selected: Sequence[str]) -> Task:
    """Compare slices of the keys of tables without a marker."""

    def act(engine: Engine, name: str) -> SyncReport:
        return _finished(engine, sync_slices(engine, name, selected), WINDOW)

    return Task(WINDOW, lambda destination: act)


def slices_resync(run: dg.DagsterRun, slices: Sequence[str], wish: ReadingWish) -> Task:
    """Read some slices again, by themselves."""
    generation = own_generation(run)

    def act(engine: Engine, name: str) -> SyncReport:
        return _finished(engine, resync_table(engine, name, generation, slices=slices, of=slices, wish=wish), SNAPSHOT)

    return Task(RESYNC, lambda destination: act)


def _slices(context: dg.AssetExecutionContext, selected: list[str]) -> Task:
    wish = told_in(context.log)

    def on(destination: Destination) -> Act:
        def act(engine: Engine, name: str) -> SyncReport:
            reading = slice_reading(context.run, context.instance, destination, engine.table(name), selected)
            report = resync_table(engine, name, reading.generation, slices=reading.slices, of=reading.of, wish=wish)
            return _finished(engine, report, SNAPSHOT)

        return act

    return Task(RESYNC, on)


def _finished(engine: Engine, report: SyncReport, mode: str) -> SyncReport:
    engine.destination.record_run(engine.run_id, report.table, mode, "success")
    return report
