"""The command ``resync``: reads a table again beside its running stream, resumable."""

from __future__ import annotations

import threading
from typing import Annotated

import typer

from warp_resources.cli.console import note
from warp_resources.cli.naming import demand_table, stored_schemas, table_named
from warp_resources.cli.progress import RowProgress
from warp_resources.cli.state import State
from warp_resources.config import WarpConfig
from warp_resources.connectors.interfaces import SourceTable
from warp_resources.model.tables import TableId
from warp_resources.pipeline.engine import STREAM, Engine, open_engine, units
from warp_resources.pipeline.options import open_destination, open_source
from warp_resources.pipeline.report import SyncReport
from warp_resources.pipeline.resync import demand_coverage, resync_table
from warp_resources.pipeline.snapshot import ChunkReport
from warp_resources.pipeline.stopping import stop_on_signals
from warp_resources.telemetry.logs import configure_logging

_PREFIX = "resync-"


def resync(
    context: typer.Context,
    table: Annotated[str, typer.Option(help="The table, as SCHEMA.TABLE.")],
    slices: Annotated[int | None, typer.Option(min=1, max=100, help="Cut the table into this many slices.")] = None,
) -> None:
    """Read a whole table again while its stream runs on; what was interrupted is taken up where it stopped."""
    state: State = context.obj
    config = state.load()
    configure_logging(config.logging)
    stop = threading.Event()
    stop_on_signals(stop.set, code=1)
    named = table_named(config, table)
    source = open_source(config)
    try:
        found = demand_table(config, named, source)
    finally:
        source.close()
    [unit] = units(config, named.schema, (named.name,))
    if unit.mode == STREAM:
        _demand_coverage(config, named)
    with open_engine(unit, stop) as engine:
        report = _resync(engine, named, found, slices)
    if stop.is_set():
        note(f"{named}: interrupted after {report.rows_written:,} rows; the same command goes on from there")
        raise typer.Exit(1)


def _demand_coverage(config: WarpConfig, table: TableId) -> None:
    """Before an engine is opened, which writes."""
    destination = open_destination(config)
    try:
        destination.check(stored_schemas(config, [table.schema]))
        demand_coverage(destination, table)
    finally:
        destination.close()


def _resync(engine: Engine, table: TableId, found: SourceTable, slices: int | None) -> SyncReport:
    generation = _interrupted(engine, table)
    if generation is not None:
        note(f"{table}: goes on with the resync {generation} that is open")
    elif slices is not None and len(engine.destination.table_plan(table)) != slices:
        _replan(engine, table, slices)
    with RowProgress({str(table): found.row_estimate}) as progress:
        # Again, now that the bar has taken standard error: lines go above it.
        configure_logging(engine.unit.config.logging)

        def count(chunk: ChunkReport) -> None:
            progress.add(str(table), chunk.rows)

        report = resync_table(engine, table.name, generation or f"{_PREFIX}{engine.run_id}", on_chunk=count)
    note(f"{table}: {progress.summary()}")
    return report


def _interrupted(engine: Engine, table: TableId) -> str | None:
    """The open resync of the whole table that an earlier command began."""
    for opened in engine.destination.generations(table.schema):
        if opened.table == table and opened.is_whole and opened.generation.startswith(_PREFIX):
            return opened.generation
    return None


def _replan(engine: Engine, table: TableId, slices: int) -> None:
    planned = engine.source.plan(engine.scope, table.name, slices)
    kept = engine.destination.save_plan(table, planned)
    if len(kept) != slices:
        note(f"{table}: not cut into {slices} but {len(kept)}, since it is small or is being read now")
