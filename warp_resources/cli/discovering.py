"""The command ``discover``: what the source has, and what of it is replicated."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, NamedTuple

import typer

from warp_resources.cli.configuring import Json
from warp_resources.cli.console import bytes_text, note, show_json, show_table
from warp_resources.cli.naming import all_tables, chosen_schemas, is_replicated, missing_tables, missing_text
from warp_resources.cli.state import State
from warp_resources.config import WarpConfig, effective, schema_settings
from warp_resources.connectors.interfaces import Source, SourceScope
from warp_resources.errors import ConfigurationError, OperatorError
from warp_resources.pipeline.options import open_source


class Discovered(NamedTuple):
    """A table of the source; ``mode`` None where it is not replicated."""

    schema: str
    database: str
    table: str
    rows: int
    bytes: int
    replicated: bool
    mode: str | None


def discover(
    context: typer.Context,
    schema: Annotated[list[str] | None, typer.Option(help="Only these schemas.")] = None,
    as_json: Json = False,
) -> None:
    """List the tables of the source with estimates of their sizes; read only."""
    state: State = context.obj
    config = state.load()
    source = open_source(config)
    found: list[Discovered] = []
    try:
        for name in chosen_schemas(config, schema or state.schema_names()):
            found += _discovered(config, name, source)
            for missing, near in missing_tables(config, name, source).items():
                note(missing_text(name, missing, near))
    finally:
        source.close()
    if as_json:
        show_json([table._asdict() for table in found])
        return
    headings = ("schema", "database", "table", "rows (about)", "size", "replicated", "mode")
    show_table(headings, [(*table[:4], bytes_text(table.bytes), *table[5:]) for table in found])


def _discovered(config: WarpConfig, schema: str, source: Source) -> Iterator[Discovered]:
    database = schema_settings(config, schema).database
    tables = all_tables(config, schema, source)
    if not tables:
        _demand_database(SourceScope(schema, database), source)
    for table in tables:
        covered = is_replicated(config, schema, table.name)
        mode = effective(config, schema, table.name).mode if covered else None
        yield Discovered(schema, database, table.name, table.row_estimate, table.byte_estimate, covered, mode)


def _demand_database(scope: SourceScope, source: Source) -> None:
    """Refuse a name that the server does not know: nothing was found under it."""
    try:
        source.check(scope, log=False)
    except OperatorError as error:
        raise ConfigurationError(error.message, remedy=error.remedy, **error.facts) from error
