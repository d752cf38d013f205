"""The command ``resync``: reads a table again beside its running stream, resumable."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Annotated

import typer

from warp_resources.cli.configuring import Json
from warp_resources.cli.console import note
from warp_resources.cli.naming import demand_table, stored_schemas, table_named
from warp_resources.cli.reading_lines import ReadingLines
from warp_resources.cli.state import State
from warp_resources.config import WarpConfig
from warp_resources.model.tables import TableId
from warp_resources.pipeline.engine import STREAM, Engine, units
from warp_resources.pipeline.options import open_destination, open_source
from warp_resources.pipeline.parallel import ReadingWish
from warp_resources.pipeline.resync import Resync, demand_coverage
from warp_resources.pipeline.slice_process import help_out
from warp_resources.pipeline.spare import keep_spare
from warp_resources.pipeline.stopping import stop_on_signals
from warp_resources.telemetry.logs import configure_logging


def resync(
    context: typer.Context,
    table: Annotated[str, typer.Option(help="The table, as SCHEMA.TABLE.")],
    slices: Annotated[
        int | None, typer.Option(min=1, max=100, help="Cut the table into this many slices; two are read at a time.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Read a whole table again while its stream runs on; what was interrupted is taken up where it stopped."""
    state: State = context.obj
    config = state.load()
    configure_logging(config.logging)
    # Before the source's driver starts its threads.
    keep_spare(config, help_out)
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
    with ReadingLines(str(named), as_json=as_json) as shown:
        # Again, now that the bar has taken standard error: lines go above it.
        configure_logging(config.logging)
        wish = ReadingWish(
            may_share=True, is_large=(slices or 1) > 1, row_estimate=found.row_estimate, on_progress=shown.show
        )
        Resync(unit, named.name, wish, prepare=_preparing(named, slices)).run(stop)
    _tell_end(named, shown, stop.is_set())


def _tell_end(table: TableId, shown: ReadingLines, is_stopped: bool) -> None:
    shown.end(is_done=not is_stopped)
    if is_stopped:
        note(f"{table}: interrupted after {shown.rows:,} rows; the same command goes on from there")
        raise typer.Exit(1)
    note(f"{table}: {shown.summary()}")


def _demand_coverage(config: WarpConfig, table: TableId) -> None:
    """Before an engine is opened, which writes."""
    destination = open_destination(config)
    try:
        destination.check(stored_schemas(config, [table.schema]))
        demand_coverage(destination, table)
    finally:
        destination.close()


def _preparing(table: TableId, slices: int | None) -> Callable[[Engine, str | None], None]:
    """What to do before the reading is opened, or taken up if it has a name already."""

    def prepare(engine: Engine, generation: str | None) -> None:
        if generation is not None:
            note(f"{table}: goes on with the resync {generation} that is open")
        elif slices is not None and len(engine.destination.table_plan(table)) != slices:
            _replan(engine, table, slices)

    return prepare


def _replan(engine: Engine, table: TableId, slices: int) -> None:
    planned = engine.source.plan(engine.scope, table.name, slices)
    kept = engine.destination.save_plan(table, planned)
    if len(kept) != slices:
        note(f"{table}: not cut into {slices} but {len(kept)}, since it is small or is being read now")
