"""The command ``demo``: shows the product at work on this machine."""

from __future__ import annotations

import signal
from typing import Annotated

import typer

from warp_resources.errors import ConfigurationError

POSTGRESQL = "postgresql"


def demo(
    check: Annotated[bool, typer.Option(help="Without Dagster and bounded: replicate, compare, exit 0 or 1.")] = False,
    destination: Annotated[str, typer.Option(help="The kind of destination.")] = POSTGRESQL,
    port: Annotated[int | None, typer.Option(help="The port of Dagster's pages; default: a free one.")] = None,
) -> None:
    """Start MongoDB, PostgreSQL and Dagster here, replicate a changing shop, and clean up afterwards."""
    if destination != POSTGRESQL:
        raise ConfigurationError(
            f"The demonstration has no destination {destination!r} yet", remedy=f"Use --destination {POSTGRESQL}"
        )
    # Here, because these bring the drivers of both databases, which no other command wants in its memory.
    from warp_resources.cli.demo.checking import check as run_check
    from warp_resources.cli.demo.live import show

    # `kill` and Ctrl-C end the demonstration in the same order.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        if check:
            raise typer.Exit(0 if run_check() else 1)
        show(port)
    except KeyboardInterrupt:
        raise typer.Exit(1 if check else 0) from None
