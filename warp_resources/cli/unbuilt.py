"""Commands that are named in the contract but not built yet: each says so."""

from __future__ import annotations

from collections.abc import Callable

import typer

from warp_resources.errors import ConfigurationError

UNBUILT = {
    "dead-letters": "List, show, replay and discard dead letters (not built yet).",
    "errors": "Show what went wrong (not built yet).",
    "verify": "Compare source and destination, and repair (not built yet).",
    "schema-history": "Show the versions of a table's schema (not built yet).",
}
_INSTEAD = {
    "dead-letters": "Read the table cartridge_warp_metadata.dead_letters in the destination",
    "errors": "Read the table cartridge_warp_metadata.error_log in the destination",
    "verify": "Until then, `resync` reads a table again and removes what is stale",
    "schema-history": "Read the table cartridge_warp_metadata.schema_registry in the destination",
}


def register(app: typer.Typer) -> None:
    """Add the commands to the list of commands."""
    for name, text in UNBUILT.items():
        settings = {"allow_extra_args": True, "ignore_unknown_options": True}
        app.command(name, help=text, context_settings=settings)(_refusal(name))


def _refusal(name: str) -> Callable[[typer.Context], None]:
    def refuse(context: typer.Context) -> None:
        raise ConfigurationError(f"`cartridge-warp {name}` is not built yet", remedy=_INSTEAD[name])

    return refuse
