"""The command ``demo``: shows the product at work on this machine."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from warp_resources.cli.console import say
from warp_resources.connectors.ports import is_free
from warp_resources.errors import ConfigurationError

POSTGRESQL = "postgresql"
_SETTINGS = ("CARTRIDGE_WARP_", "DAGSTER_POSTGRES_URL")


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
    if port is not None and not is_free(port):
        raise ConfigurationError(
            "Another server has this port", remedy="Choose another, or leave --port out", port=port
        )
    # Here, because these bring the drivers of both databases, which no other command wants in its memory.
    from warp_resources.cli.demo.checking import check as run_check
    from warp_resources.cli.demo.ending import perform
    from warp_resources.cli.demo.live import show

    _forget_settings()
    try:
        if check:
            raise typer.Exit(0 if perform(run_check) else 1)
        perform(lambda folder: show(folder, port))
    except KeyboardInterrupt:
        say("Stopped; all of it is removed")
        raise typer.Exit(1 if check else 0) from None


def _forget_settings() -> None:
    """The user's own, which come before the file of the demonstration: they may name databases that matter."""
    for name in [name for name in os.environ if name.startswith(_SETTINGS)]:
        del os.environ[name]
