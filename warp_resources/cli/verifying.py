"""The command ``verify``: compares source and destination by their values, and mends what differs."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Annotated, Any

import typer

from warp_resources.cli.configuring import Json
from warp_resources.cli.console import note, say, show_json, show_table
from warp_resources.cli.naming import chosen_schemas, demand_table, table_named
from warp_resources.cli.progress import RowProgress
from warp_resources.cli.state import State
from warp_resources.errors import ConfigurationError, WarpError
from warp_resources.masking import mask
from warp_resources.model.tables import TableId
from warp_resources.model.verifications import Verification
from warp_resources.pipeline.engine import Engine, Unit, open_engine, units
from warp_resources.pipeline.repair import repairing
from warp_resources.pipeline.sides import Sides, open_sides, sides_of
from warp_resources.pipeline.snapshot import ChunkReport, OnChunk
from warp_resources.pipeline.stopping import stop_on_signals
from warp_resources.pipeline.verify import verify_table
from warp_resources.telemetry.logs import configure_logging

EXIT_FAILED, EXIT_DIFFERENT = 1, 3
SHOWN_KEYS = 20

Result = Verification | WarpError


def verify(
    context: typer.Context,
    schema: Annotated[list[str] | None, typer.Option(help="Only these schemas.")] = None,
    table: Annotated[list[str] | None, typer.Option(help="Only these tables, as SCHEMA.TABLE.")] = None,
    repair: Annotated[bool, typer.Option(help="Write the rows that differ again, and remove those too many.")] = False,
    as_json: Json = False,
) -> None:
    """Compare source and destination row by row, also beside a running stream; exit code 3 where they differ."""
    state: State = context.obj
    config = state.load()
    configure_logging(config.logging)
    named = [table_named(config, text) for text in table or ()]
    schemas = chosen_schemas(config, schema or [*dict.fromkeys(its.schema for its in named)] or state.schema_names())
    stop = threading.Event()
    stop_on_signals(stop.set, code=EXIT_FAILED)
    found: dict[TableId, Result] = {}
    for name in schemas:
        wanted = tuple(its.name for its in named if its.schema == name)
        for unit in units(config, name, wanted) if wanted or not named else ():
            found |= dict(_of_unit(unit, wanted, stop, repair=repair))
    if not found:
        raise ConfigurationError("There is no table to compare", remedy="Run it first: cartridge-warp run --once")
    if as_json:
        show_json([_as_json(its, result) for its, result in found.items()])
    else:
        _show(found)
    if stop.is_set():
        note("Interrupted: what was not reached was not compared")
    if stop.is_set() or any(isinstance(result, WarpError) for result in found.values()):
        raise typer.Exit(EXIT_FAILED)
    if any(isinstance(result, Verification) and result.differences for result in found.values()):
        raise typer.Exit(EXIT_DIFFERENT)


def _of_unit(
    unit: Unit, names: Sequence[str], stop: threading.Event, *, repair: bool
) -> Iterator[tuple[TableId, Result]]:
    """Each table of a unit; one that cannot be compared does not keep the others from it."""
    if not repair:
        with open_sides(unit, stop) as sides:
            for table, count in _tables(sides, names):
                yield table, _outcome(partial(verify_table, sides, table.name, on_chunk=count))
        return
    with open_engine(unit, stop, is_helper=True) as engine:
        sides = sides_of(engine)
        for table, count in _tables(sides, names):
            yield table, _outcome(partial(_repaired, engine, sides, table.name, count))


def _repaired(engine: Engine, sides: Sides, name: str, count: OnChunk) -> Verification:
    with repairing(engine, name) as mend:
        return verify_table(sides, name, mend=mend, on_chunk=count)


def _outcome(act: Callable[[], Verification]) -> Result:
    try:
        return act()
    except WarpError as error:
        return error


def _tables(sides: Sides, names: Sequence[str]) -> Iterator[tuple[TableId, OnChunk]]:
    """The tables to compare, each with what counts its rows on the terminal."""
    found = {its.name: its.row_estimate for its in sides.source.tables(sides.scope)}
    states = [name for name in sides.destination.table_states(sides.unit.schema) if sides.scope.covers(name)]
    estimates = {name: found.get(name, 0) for name in sorted({*found, *states})}
    for name in names:
        if name not in estimates:
            demand_table(sides.unit.config, sides.table(name), sides.source)
    for name in names or estimates:
        if sides.stop.is_set():
            return
        table = sides.table(name)
        with RowProgress({str(table): estimates.get(name, 0)}) as progress:
            # Again, now that the bar has taken standard error: lines go above it.
            configure_logging(sides.unit.config.logging)

            def count(chunk: ChunkReport, progress: RowProgress = progress) -> None:
                progress.add(str(chunk.table), chunk.rows)

            yield table, count
        note(f"{table}: {progress.summary()}")


def _show(found: Mapping[TableId, Result]) -> None:
    headings = ("table", "slice", "source rows", "same", "missing", "different", "surplus", "set aside")
    lines: list[tuple[object, ...]] = []
    for table, result in found.items():
        if isinstance(result, Verification) and not result.note:
            lines += [
                (str(table), its.name, its.rows, its.matched, its.missing, its.different, None, its.set_aside)
                for its in result.slices
                if len(result.slices) > 1 and its.matched + its.set_aside != its.rows
            ]
            its = result
            lines.append(
                (str(table), "all", its.rows, its.matched, its.missing, its.different, its.surplus, its.set_aside)
            )
    if lines:
        show_table(headings, lines)
    for table, result in found.items():
        if isinstance(result, WarpError):
            say(f"{table}: {mask(str(result))}")
            continue
        for text in _remarks(result):
            say(f"{table}: {text}")


def _remarks(result: Verification) -> Iterator[str]:
    for its in result.keys[:SHOWN_KEYS]:
        yield f"{its.kind}: {its.primary_key}"
    if len(result.keys) > SHOWN_KEYS:
        yield f"and {result.missing + result.different + result.surplus - SHOWN_KEYS:,} more: --json names them"
    if result.late:
        yield f"{result.late:,} keys changed at the source, which the stream has yet to bring: they were not compared"
    if result.moving:
        yield f"{result.moving:,} keys changed all the time: they were not compared"
    if result.mended:
        yield f"{result.mended:,} of the keys that differed were written again"
    if result.note:
        yield result.note


def _as_json(table: TableId, result: Result) -> dict[str, Any]:
    if isinstance(result, WarpError):
        return {"table": str(table), "error": mask(str(result))}
    sums = ("rows", "matched", "missing", "different", "surplus", "set_aside", "late", "moving", "mended", "note")
    return {
        "table": str(table),
        **{name: getattr(result, name) for name in sums},
        "slices": [asdict(its) | {"matched": its.matched} for its in result.slices],
        "keys": [{"key": json.loads(its.primary_key), "kind": its.kind} for its in result.keys],
    }
