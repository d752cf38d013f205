"""The commands about the configuration: ``config show``, ``schema`` and ``validate``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Annotated

import typer

from warp_resources.cli.console import say, show_json, show_table
from warp_resources.cli.naming import chosen_schemas, missing_tables, missing_text, stored_schemas, table_named
from warp_resources.cli.reference import whole_reference
from warp_resources.cli.state import State
from warp_resources.config import WarpConfig, explain, json_schema, schema_settings
from warp_resources.connectors.interfaces import Destination, Source
from warp_resources.errors import ConfigurationError, WarpError
from warp_resources.pipeline.engine import BATCH, check_source, units
from warp_resources.pipeline.options import open_destination, open_source
from warp_resources.pipeline.preparation import check_transforms
from warp_resources.pipeline.strategies import demand_strategies

Json = Annotated[bool, typer.Option("--json", help="JSON, for scripts.")]
LARGEST = 2**63 - 1
"""The largest number that a destination counts to."""

config_app = typer.Typer(help="Look at the configuration.", no_args_is_help=True)


@config_app.command("show")
def show(
    context: typer.Context,
    table: Annotated[str | None, typer.Option(help="The table, as SCHEMA.TABLE.")] = None,
    schema: Annotated[str | None, typer.Option(help="The schema.")] = None,
    as_json: Json = False,
) -> None:
    """Each effective value with the layer that it came from: default, file, environment or flag."""
    state: State = context.obj
    config = state.load()
    named = table_named(config, table) if table else None
    schema = named.schema if named else schema or state.schema
    if schema:
        chosen_schemas(config, [schema])
    lines = explain(config, schema, named.name if named else None)
    if as_json:
        show_json({line.key: {"value": line.value, "layer": line.layer} for line in lines})
    else:
        show_table(("key", "value", "layer"), lines)


def schema(
    markdown: Annotated[bool, typer.Option(help="The same as the table of docs/configuration.md.")] = False,
) -> None:
    """The JSON Schema of the configuration file, for editors."""
    if markdown:
        typer.echo(whole_reference(), nl=False)
    else:
        show_json(json_schema())


def validate(
    context: typer.Context,
    connect: Annotated[bool, typer.Option(help="Also reach both databases and check what is needed there.")] = False,
) -> None:
    """Check the configuration; with --connect the databases, their grants and the tables too."""
    state: State = context.obj
    config = state.load()
    source, destination = open_source(config), open_destination(config)
    names = chosen_schemas(config, state.schema_names())
    for name in names:
        check_transforms(config, name)
        for unit in units(config, name):
            demand_strategies(config, name, unit.mode, source.capabilities)
    say(f"{state.file_text()}: {_summary(config, names)}")
    for name in names:
        _note_unscheduled(config, name)
    if not connect:
        return
    try:
        checks = [*_checks(config, names, source, destination)]
    finally:
        source.close()
        destination.close()
    failures = [error for error in checks if error is not None]
    if failures:
        say(f"{len(failures)} of {len(checks)} checks failed")
        raise typer.Exit(2 if all(isinstance(error, ConfigurationError) for error in failures) else 1)


def _summary(config: WarpConfig, names: Sequence[str]) -> str:
    schemas = [schema_settings(config, name) for name in names]
    listed = ", ".join(f"{its.name} ({its.mode})" for its in schemas)
    return f"valid, {config.source.type} to {config.destination.type}, {len(schemas)} schema(s): {listed}"


def _note_unscheduled(config: WarpConfig, schema: str) -> None:
    if schema_settings(config, schema).schedule is None and any(unit.mode == BATCH for unit in units(config, schema)):
        say(
            f"note    schema {schema!r} has batch tables and no schedule: `cartridge-warp run` syncs them every "
            "polling_interval, but in Dagster nothing does by itself; give it a schedule"
        )


def _checks(
    config: WarpConfig, names: Sequence[str], source: Source, destination: Destination
) -> Iterator[WarpError | None]:
    yield _tried("destination", partial(destination.check, stored_schemas(config, names)))
    for name in names:
        database = schema_settings(config, name).database
        for unit in units(config, name):
            label = f"source {database} for schema {name} ({unit.mode})"
            error = _tried(label, partial(check_source, unit, source))
            yield error
        if error is None:
            yield from _table_checks(config, name, source)


def _table_checks(config: WarpConfig, schema: str, source: Source) -> Iterator[WarpError | None]:
    for table, near in missing_tables(config, schema, source).items():
        text = missing_text(schema, table, near)
        say(f"{'FAILED' if near else 'note  '}  {text}")
        yield ConfigurationError(text) if near else None


def _tried(label: str, check: Callable[[], None]) -> WarpError | None:
    try:
        check()
    except WarpError as error:
        say(f"FAILED  {label}: {error}")
        return error
    say(f"ok      {label}")
    return None
