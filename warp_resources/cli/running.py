"""The command ``run``: streams and synchronises until stopped, or once."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Annotated

import structlog
import typer

from warp_resources.cli.console import note
from warp_resources.cli.exporting import serving_metrics
from warp_resources.cli.naming import (
    all_tables,
    chosen_schemas,
    missing_tables,
    missing_text,
    named_tables,
    schemas_having,
)
from warp_resources.cli.planning import show_plan
from warp_resources.cli.progress import RowProgress
from warp_resources.cli.state import State
from warp_resources.config import WarpConfig
from warp_resources.connectors.interfaces import Source
from warp_resources.errors import ConfigurationError, WarpError
from warp_resources.model.tables import TableId
from warp_resources.pipeline.options import open_destination, open_source
from warp_resources.pipeline.runner import WarpRunner
from warp_resources.pipeline.slice_process import help_out
from warp_resources.pipeline.snapshot import ChunkReport
from warp_resources.pipeline.spare import keep_spare
from warp_resources.pipeline.stopping import stop_on_signals
from warp_resources.telemetry.logs import configure_logging

log = structlog.get_logger(__name__)


def run(
    context: typer.Context,
    schema: Annotated[list[str] | None, typer.Option(help="Only these schemas.")] = None,
    table: Annotated[
        list[str] | None,
        typer.Option(help="Begin or resync only these source tables; what a stream already covers goes on."),
    ] = None,
    once: Annotated[bool, typer.Option(help="Bring everything up to date, then exit.")] = False,
    dry_run: Annotated[bool, typer.Option(help="Show what would be done; writes nothing.")] = False,
    full_resync: Annotated[bool, typer.Option(help="Read every table again, beside the stream.")] = False,
) -> None:
    """Stream and synchronise the configured schemas until stopped, or once."""
    state: State = context.obj
    config = state.load()
    wanted = schema or state.schema_names()
    if dry_run:
        show_plan(config, wanted, table or ())
        return
    configure_logging(config.logging)
    # Before the source's driver starts its threads.
    keep_spare(config, help_out)
    # Work that has an end was not done where a stop came first.
    code = 1 if once else 0
    begun: list[WarpRunner] = []
    # Until something is begun, nothing has to be ended, and nobody may wait for a server that does not answer.
    stop_on_signals(lambda: begun[0].stop() if begun else os._exit(code), code=code)
    names = chosen_schemas(config, wanted)
    estimates = _look(config, names, table or (), once=once)
    runner = WarpRunner(config, schemas_having(estimates, names) if table else names, table or ())
    begun.append(runner)
    if once:
        _run_once(config, runner, estimates, full_resync=full_resync)
        return
    with serving_metrics(config) if config.monitoring.prometheus.enabled else nullcontext():
        runner.start(full_resync=full_resync)


def _run_once(config: WarpConfig, runner: WarpRunner, estimates: dict[TableId, int], *, full_resync: bool) -> None:
    with RowProgress({str(table): rows for table, rows in estimates.items()}) as progress:
        # Again, now that the bar has taken standard error: lines go above it.
        configure_logging(config.logging)

        def count(chunk: ChunkReport) -> None:
            progress.add(str(chunk.table), chunk.rows)

        is_done = runner.run_once(full_resync=full_resync, on_chunk=count)
    if not is_done:
        rest = "the same command begins to read anew" if full_resync else "the same command goes on from there"
        note(f"Interrupted after {progress.rows:,} rows: {rest}")
        raise typer.Exit(1)
    if progress.rows:
        note(f"Read anew: {progress.summary()}")


def _look(config: WarpConfig, schemas: Sequence[str], tables: Sequence[str], *, once: bool) -> dict[TableId, int]:
    """Row estimates of the tables to run; wrong names are told before anything is written.

    A source that does not answer is left to the engine, which knows how to wait for it.
    """
    source = open_source(config)
    try:
        if tables:
            named = named_tables(config, schemas, tables, source)
            return {table: found.row_estimate for table, found in named.items()}
        for schema in schemas:
            _tell_missing(config, schema, source)
        counted = schemas if once else ()
        return {
            TableId(schema, found.name): found.row_estimate
            for schema in counted
            for found in all_tables(config, schema, source)
        }
    except ConfigurationError:
        raise
    except WarpError as error:
        log.warning("the names cannot be looked up yet", error=str(error))
        return {}
    finally:
        source.close()


def _tell_missing(config: WarpConfig, schema: str, source: Source) -> None:
    """A configured table that never was, beside one of nearly its name, is a slip of the pen."""
    missing = missing_tables(config, schema, source)
    for table, near in missing.items():
        if near and not _was_replicated(config, schema, table):
            text = missing_text(schema, table, near)
            raise ConfigurationError(text[0].upper() + text[1:], remedy="Correct the name")
    for table, near in missing.items():
        log.warning("configured table is missing at the source", table=f"{schema}.{table}", nearest=near)


def _was_replicated(config: WarpConfig, schema: str, table: str) -> bool:
    destination = open_destination(config)
    try:
        return table in destination.table_states(schema)
    finally:
        destination.close()
