"""The commands that move data: ``run``."""

from __future__ import annotations

import signal
from typing import Annotated

import typer

from warp_resources.cli.state import State
from warp_resources.pipeline.runner import WarpRunner
from warp_resources.telemetry.logs import configure_logging


def run(
    context: typer.Context,
    schema: Annotated[list[str] | None, typer.Option(help="Only these schemas.")] = None,
    table: Annotated[list[str] | None, typer.Option(help="Only these source tables.")] = None,
    once: Annotated[bool, typer.Option(help="Bring everything up to date, then exit.")] = False,
    full_resync: Annotated[bool, typer.Option(help="Read every table again, beside the stream.")] = False,
) -> None:
    """Stream and synchronise the configured schemas until stopped, or once."""
    state: State = context.obj
    config = state.load()
    configure_logging(config.logging)
    chosen = schema or ([state.schema] if state.schema else [])
    runner = WarpRunner(config, chosen, table or ())
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: runner.stop())
    if once:
        runner.run_once(full_resync=full_resync)
    else:
        runner.start(full_resync=full_resync)
