"""The command ``init``: inspects the source and writes the files that everything else needs."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from warp_resources.cli.console import say
from warp_resources.cli.dotenv import ENV_FILE
from warp_resources.cli.init_text import DESTINATION_VARIABLE, SOURCE_VARIABLE, Inspected, env_file, warp_yaml
from warp_resources.cli.naming import stored_schemas
from warp_resources.cli.state import State
from warp_resources.cli.written import DAGSTER, WORKSPACE, text_of
from warp_resources.config import WarpConfig, endpoint_from_uri
from warp_resources.config.loading import DEFAULT_FILE
from warp_resources.connectors.interfaces import Source, SourceScope
from warp_resources.errors import ConfigurationError, OperatorError
from warp_resources.pipeline.options import open_destination, open_source


def init(
    context: typer.Context,
    source: Annotated[str | None, typer.Option(help="The source, as type://user:password@host/database.")] = None,
    destination: Annotated[str | None, typer.Option(help="The destination's connection string.")] = None,
    schema: Annotated[str | None, typer.Option(help="The schema's name; default: the source database's.")] = None,
    folder: Annotated[Path, typer.Option(help="Where to write.")] = Path("."),
) -> None:
    """Inspect the source, then write warp.yaml, workspace.yaml, dagster.yaml and .env; never over an existing file."""
    state: State = context.obj
    texts = {WORKSPACE: text_of(WORKSPACE), DAGSTER: text_of(DAGSTER)}
    if not all((folder / name).exists() for name in (DEFAULT_FILE, ENV_FILE)):
        source_uri = _asked(source or state.source, "source", "mongodb://host:27017/database")
        destination_uri = _asked(destination or state.destination, "destination", "postgresql://host/database")
        found = _inspected(source_uri, destination_uri, schema or state.schema)
        texts |= {DEFAULT_FILE: warp_yaml(found), ENV_FILE: env_file(folder, source_uri, destination_uri)}
        say(f"Found {len(found.tables)} tables in {found.source_type} database {found.database!r}")
    _write(folder, texts)


def _asked(given: str | None, role: str, example: str) -> str:
    if given:
        return given
    if not sys.stdin.isatty():
        raise ConfigurationError(f"The {role} is not given", remedy=f"Give it: --{role} {example}")
    return str(typer.prompt(f"The {role}, such as {example}", err=True))


def _inspected(source_uri: str, destination_uri: str, schema: str | None) -> Inspected:
    endpoint, target = endpoint_from_uri(source_uri), endpoint_from_uri(destination_uri)
    database = endpoint.get("database") or schema
    if not database:
        raise ConfigurationError(
            "The source's URI names no database", remedy="Put it behind the host: mongodb://host:27017/database"
        )
    found = Inspected(endpoint["type"], target["type"], database, schema or database, ())
    config = WarpConfig.model_validate(
        {
            "source": {**endpoint, "database": database},
            "destination": {key: value for key, value in target.items() if key != "database"},
            "schemas": [{"name": found.schema}],
        }
    )
    _check_destination(config)
    source = open_source(config)
    try:
        scope = SourceScope(found.schema, database)
        reason = _why_no_stream(source, scope)
        return replace(found, tables=tuple(source.tables(scope)), batch_reason=reason)
    finally:
        source.close()


def _check_destination(config: WarpConfig) -> None:
    destination = open_destination(config)
    try:
        destination.check(stored_schemas(config, [schema.name for schema in config.schemas]))
    finally:
        destination.close()


def _why_no_stream(source: Source, scope: SourceScope) -> str | None:
    """What stands against a stream, where a batch is possible; None where nothing does."""
    try:
        source.check(scope, log=True)
    except OperatorError as error:
        source.check(scope, log=False)
        return error.message
    return None


def _write(folder: Path, texts: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        path = folder / name
        try:
            with path.open("x", encoding="utf-8") as file:
                # The environment file holds passwords.
                path.chmod(0o600 if name == ENV_FILE else 0o644)
                file.write(text)
        except FileExistsError:
            say(f"kept     {path}, which exists")
            if name == ENV_FILE:
                say(f"         it has to set {SOURCE_VARIABLE}, {DESTINATION_VARIABLE} and DAGSTER_HOME")
            continue
        say(f"written  {path}")
    say("Next: cartridge-warp validate --connect, then cartridge-warp plan, then cartridge-warp run or dagster dev")
