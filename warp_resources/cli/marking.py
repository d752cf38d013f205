"""The commands ``markers list``, ``show`` and ``set``: the positions that a run continues from."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import typer

from warp_resources.cli.configuring import Json
from warp_resources.cli.console import note, note_exactly, show_json, show_table
from warp_resources.cli.naming import chosen_schemas, demand_table, nearest, stored_schemas, table_named
from warp_resources.cli.positions import batch_marker, demand_start, position_in
from warp_resources.cli.state import State
from warp_resources.config import WarpConfig, effective, served_schemas
from warp_resources.connectors.interfaces import Destination, Source
from warp_resources.errors import ConfigurationError, OperatorError
from warp_resources.model.batches import ConformedBatch
from warp_resources.model.positions import BatchCommit, Position, batch_lease, stream_lease
from warp_resources.model.tables import TableId
from warp_resources.pipeline.engine import BATCH, STREAM, units
from warp_resources.pipeline.lease import LeaseKeeper
from warp_resources.pipeline.options import open_destination, open_source, open_state

NOW = "now"
Target = Annotated[str, typer.Argument(metavar="SCHEMA[.TABLE]", help="A schema's stream, or a batch table.")]

markers_app = typer.Typer(help="Look at positions and move them.", no_args_is_help=True)


@markers_app.command("list")
def list_markers(context: typer.Context, as_json: Json = False) -> None:
    """List the markers of all served schemas."""
    state: State = context.obj
    config = state.load()
    destination = open_destination(config)
    try:
        found = [line for name in chosen_schemas(config, state.schema_names()) for line in _markers(destination, name)]
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
    position: Annotated[
        str,
        typer.Argument(
            help="The position as JSON, as `markers show` prints it; for a stream also `now`: the end of the"
            " source's log, with every table read again."
        ),
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Move a marker: back repeats changes, forward leaves some out. Nothing may be running on it."""
    state: State = context.obj
    config, table = state.load(), _target(state, target)
    source, destination = open_source(config), open_destination(config)
    try:
        # Before anything is written.
        destination.check(stored_schemas(config, [table.schema]))
        move = _move(config, table, position, source, destination)
        note_exactly(f"The marker of {target} was {json.dumps(_stored(destination, table), default=str)}")
        if not yes:
            typer.confirm(f"Move the marker of {target} to {position}?", abort=True, err=True)
        destination.prepare()
        keeper = LeaseKeeper(partial(open_state, config, destination), label="markers set")
        try:
            with keeper.holding(batch_lease(table) if table.name else stream_lease(table.schema)):
                move()
        finally:
            keeper.close()
    finally:
        destination.close()
        source.close()
    note(f"The marker of {target} is moved")


def _move(
    config: WarpConfig, table: TableId, text: str, source: Source, destination: Destination
) -> Callable[[], None]:
    """What moves a marker to a position that was found good."""
    if table.name:
        _demand_batch_table(config, table, source, destination)
        return partial(_move_table, destination, table, batch_marker(config, table, position_in(text)))
    unit = next((unit for unit in units(config, table.schema) if unit.mode == STREAM), None)
    if unit is None:
        raise ConfigurationError(
            f"No table of schema {table.schema!r} is streamed, so it has no stream to move",
            remedy=f"Name a batch table: cartridge-warp markers set {table.schema}.<table> ...",
        )
    if text == NOW:
        return partial(_start_anew, destination, table.schema, source.log_end(unit.scope))
    position = position_in(text)
    demand_start(unit, source, position)
    return partial(_start_at, destination, table.schema, position)


def _start_at(destination: Destination, schema: str, position: Position) -> None:
    destination.start_stream(schema, position)


def _start_anew(destination: Destination, schema: str, position: Position) -> None:
    """What happened since the old position is not known: the tables that the stream covers are read again."""
    covered = [its.table for its in destination.table_states(schema).values() if its.covered_from is not None]
    destination.start_stream(schema, position, covered, generation=f"history-{uuid.uuid4()}")


def _move_table(destination: Destination, table: TableId, position: Position) -> None:
    state = destination.seize_table(table, BATCH)
    destination.write(ConformedBatch((), BatchCommit(table, state.epoch, position), str(uuid.uuid4())))


def _demand_batch_table(config: WarpConfig, table: TableId, source: Source, destination: Destination) -> None:
    if table.name not in destination.table_states(table.schema):
        _demand_name(config, table, source)
    if effective(config, table.schema, table.name).mode != BATCH:
        raise ConfigurationError(
            f"{table} is streamed, so it has no marker of its own",
            remedy=f"Move its stream's: cartridge-warp markers set {table.schema} ...",
        )


def _demand_name(config: WarpConfig, table: TableId, source: Source) -> None:
    try:
        demand_table(config, table, source)
    except ConfigurationError as error:
        schema = nearest(table.name, served_schemas(config))
        hint = f"Did you mean the schema {schema!r}? " if schema else ""
        raise ConfigurationError(error.message, remedy=f"{hint}{error.remedy}") from None


def _stored(destination: Destination, table: TableId) -> Position | None:
    if table.name:
        known = destination.table_states(table.schema).get(table.name)
        return known.position if known is not None else None
    stream = destination.stream_state(table.schema)
    return stream.position if stream is not None else None


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


def _short(position: Position | None) -> str | None:
    text = json.dumps(position, default=str) if position is not None else ""
    return text if len(text) <= 60 else f"{text[:57]}..."
