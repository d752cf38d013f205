"""The command ``demo``: shows the product at work on this machine."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from warp_resources.cli.console import say
from warp_resources.cli.demo.destinations import DESTINATIONS
from warp_resources.connectors.ports import is_free
from warp_resources.errors import ConfigurationError

_SETTINGS = ("CARTRIDGE_WARP_", "DAGSTER_POSTGRES_URL")


def demo(
    check: Annotated[bool, typer.Option(help="Without Dagster and bounded: replicate, compare, exit 0 or 1.")] = False,
    destination: Annotated[
        str, typer.Option(help=f"The kind of destination: {', '.join(DESTINATIONS)}.")
    ] = "postgresql",
    port: Annotated[int | None, typer.Option(help="The port of Dagster's pages; default: a free one.")] = None,
) -> None:
    """Start MongoDB, a destination and Dagster here, replicate a changing shop, and clean up afterwards."""
    if destination not in DESTINATIONS:
        raise ConfigurationError(
            f"The demonstration has no destination {destination!r}",
            remedy=f"Use --destination {' or '.join(DESTINATIONS)}",
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
            raise typer.Exit(0 if perform(lambda folder: run_check(folder, destination)) else 1)
        perform(lambda folder: show(folder, destination, port))
    except KeyboardInterrupt:
        say("Stopped; all of it is removed")
        raise typer.Exit(1 if check else 0) from None


def _forget_settings() -> None:
    """The user's own, which come before the file of the demonstration: they may name databases that matter."""
    for name in [name for name in os.environ if name.startswith(_SETTINGS)]:
        del os.environ[name]
