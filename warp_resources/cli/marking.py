"""The commands ``markers list``, ``show`` and ``set``: the positions that a run continues from."""

from __future__ import annotations

import json
import uuid
from typing import Annotated, Any

import typer

from warp_resources.cli.configuring import Json
from warp_resources.cli.console import note, show_json, show_table
from warp_resources.cli.naming import chosen_schemas, table_named
from warp_resources.cli.state import State
from warp_resources.config import WarpConfig
from warp_resources.connectors.interfaces import Destination
from warp_resources.errors import ConfigurationError, OperatorError
from warp_resources.model.batches import ConformedBatch
from warp_resources.model.positions import BatchCommit, Position
from warp_resources.model.tables import TableId
from warp_resources.pipeline.engine import BATCH
from warp_resources.pipeline.lease import LeaseKeeper
from warp_resources.pipeline.marker import time_of
from warp_resources.pipeline.options import open_destination, open_source

Target = Annotated[str, typer.Argument(metavar="SCHEMA[.TABLE]", help="A schema's stream, or a batch table.")]

markers_app = typer.Typer(help="Look at positions and move them.", no_args_is_help=True)


@markers_app.command("list")
def list_markers(context: typer.Context, as_json: Json = False) -> None:
    """List the markers of all served schemas."""
    state: State = context.obj
    config = state.load()
    destination = open_destination(config)
    try:
        found = [line for name in chosen_schemas(config) for line in _markers(destination, name)]
    finally:
        destination.close()
    if as_json:
        show_json(found)
        return
    names = ("schema", "table", "type", "sequence", "epoch", "updated_at", "position")
    rows = [(*(line[name] for name in names[:-1]), _short(line["position"])) for line in found]
    show_table(("schema", "table", "type", "sequence", "epoch", "updated at", "position"), rows)


@markers_app.command("show")
def show_marker(context: typer.Context, target: Target) -> None:
    """Show one marker whole, as JSON."""
    state: State = context.obj
    config = state.load()
    table = _target(state, target)
    destination = open_destination(config)
    try:
        found = [line for line in _markers(destination, table.schema) if line["table"] == table.name]
    finally:
        destination.close()
    if not found:
        raise OperatorError(f"There is no marker of {target} yet", remedy="Run it once: cartridge-warp run --once")
    show_json(found[0])


@markers_app.command("set")
def set_marker(
    context: typer.Context,
    target: Target,
    position: Annotated[str, typer.Argument(help="The position as JSON, as `markers show` prints it.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Move a marker: back repeats changes, forward leaves some out. Nothing may be running on it."""
    state: State = context.obj
    config, table, wanted = state.load(), _target(state, target), _position(position)
    _demand_form(config, table, wanted)
    if not yes:
        typer.confirm(f"Move the marker of {target} to {position}?", abort=True, err=True)
    destination = open_destination(config)
    keeper: LeaseKeeper | None = None
    try:
        destination.check()
        destination.prepare()
        keeper = LeaseKeeper(destination.state_store, label="markers set")
        with keeper.holding(f"{BATCH}:{table}" if table.name else f"stream:{table.schema}"):
            _move(destination, table, wanted)
    finally:
        if keeper is not None:
            keeper.close()
        destination.close()
    note(f"The marker of {target} is moved")


def _move(destination: Destination, table: TableId, position: Position) -> None:
    if not table.name:
        destination.start_stream(table.schema, position)
        return
    known = destination.table_states(table.schema).get(table.name)
    if known is not None and known.mode != BATCH:
        raise ConfigurationError(
            f"{table} is streamed, so it has no marker of its own",
            remedy=f"Move its stream's: cartridge-warp markers set {table.schema} ...",
        )
    state = destination.seize_table(table, BATCH)
    destination.write(ConformedBatch((), BatchCommit(table, state.epoch, position), str(uuid.uuid4())))


def _markers(destination: Destination, schema: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    stream = destination.stream_state(schema)
    if stream is not None:
        found.append(_line(schema, "", "stream", stream.sequence, stream.epoch, stream.updated_at, stream.position))
    for name, its in sorted(destination.table_states(schema).items()):
        found.append(_line(schema, name, its.mode, its.sequence, its.epoch, its.updated_at, its.position))
    return found


def _line(
    schema: str, table: str, kind: str, sequence: int, epoch: int, updated_at: object, position: Position | None
) -> dict[str, Any]:
    return {
        "schema": schema,
        "table": table,
        "type": kind,
        "sequence": sequence,
        "epoch": epoch,
        "updated_at": updated_at,
        "position": position,
    }


def _target(state: State, target: str) -> TableId:
    config = state.load()
    return TableId(target, "") if target in chosen_schemas(config) else table_named(config, target)


def _position(text: str) -> Position:
    try:
        position = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigurationError(
            f"The position is no JSON: {error.msg} at character {error.pos}", remedy="Quote it for the shell: '{...}'"
        ) from None
    if not isinstance(position, dict):
        raise ConfigurationError("The position is no JSON object", remedy="Take the form that `markers show` prints")
    return position


def _demand_form(config: WarpConfig, table: TableId, position: Position) -> None:
    """Refuse a position that the next run could not start from."""
    if table.name:
        try:
            time_of(position)
        except (KeyError, ValueError):
            raise ConfigurationError(
                "The position is not one of a batch table",
                remedy='Write it as {"column": "updated_at", "value": "2024-05-01T00:00:00+00:00"}',
            ) from None
        return
    source = open_source(config)
    try:
        source.is_reached(position, position)
    finally:
        source.close()


def _short(position: Position | None) -> str | None:
    text = json.dumps(position, default=str) if position is not None else ""
    return text if len(text) <= 60 else f"{text[:57]}..."
