"""The command ``errors``: what ``error_log`` has to tell."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from warp_resources.cli.configuring import LARGEST, Json
from warp_resources.cli.console import note, show_json, show_table
from warp_resources.cli.naming import chosen_schemas, refuse_empty, table_named
from warp_resources.cli.state import State
from warp_resources.config import parse_duration
from warp_resources.errors import ConfigurationError
from warp_resources.model.letters import ErrorSelection, KeptError
from warp_resources.pipeline.options import open_destination


def errors(
    context: typer.Context,
    schema: Annotated[str | None, typer.Option(help="Only of this schema.")] = None,
    table: Annotated[str | None, typer.Option(help="Only of this table, as SCHEMA.TABLE.")] = None,
    kind: Annotated[str | None, typer.Option("--type", help="Only of this type.")] = None,
    since: Annotated[str, typer.Option(help="How far back: 30m, 24h, 7d or 'all'.")] = "24h",
    limit: Annotated[int, typer.Option(min=1, max=LARGEST, help="How many, the newest first.")] = 50,
    as_json: Json = False,
) -> None:
    """Show what went wrong and what was done about it, the newest first."""
    refuse_empty({"--schema": schema, "--table": table, "--type": kind})
    state: State = context.obj
    config = state.load()
    named = table_named(config, table) if table else None
    names = [named.schema] if named else chosen_schemas(config, [schema] if schema else state.schema_names())
    after = _after(since)
    destination = open_destination(config)
    try:
        found = [
            one
            for name in names
            for one in destination.logged_errors(
                ErrorSelection(name, named.name if named else None, kind, after, limit)
            )
        ]
    finally:
        destination.close()
    shown = sorted(found, key=lambda one: one.number, reverse=True)[:limit]
    if as_json:
        show_json([_line(one) for one in shown])
        return
    if not shown:
        note("No errors" if after is None else f"No errors in the last {since}; --since all looks further back")
        return
    headings = ("at", "table", "column", "type", "severity", "key", "message", "action")
    show_table(headings, [_row(one) for one in shown])


def _after(text: str) -> datetime | None:
    if text == "all":
        return None
    try:
        return datetime.now(UTC) - parse_duration(text)
    except (ValueError, OverflowError):
        raise ConfigurationError(f"{text!r} is no duration", remedy="Write --since 30m, 24h, 7d or all") from None


def _line(one: KeptError) -> dict[str, Any]:
    its = one.entry
    return {
        "id": one.number,
        "occurred_at": one.occurred_at,
        "schema": its.table.schema,
        "table": its.table.name,
        "column": its.column,
        "type": its.error_type,
        "severity": its.severity,
        "primary_key": its.primary_key,
        "message": its.message,
        "action": its.action,
        "run_id": one.run_id,
    }


def _row(one: KeptError) -> tuple[object, ...]:
    its = one.entry
    table = its.table if its.table.name else its.table.schema
    return (one.occurred_at, table, its.column, its.error_type, its.severity, its.primary_key, its.message, its.action)
