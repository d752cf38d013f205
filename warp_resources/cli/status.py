"""The command ``status``: where each schema and table stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Annotated

import typer

from warp_resources.cli.configuring import Json
from warp_resources.cli.console import note, show_json, show_table
from warp_resources.cli.history_lines import history_of
from warp_resources.cli.naming import chosen_schemas
from warp_resources.cli.readings import reading_text, readings_of
from warp_resources.cli.state import State
from warp_resources.config import WarpConfig
from warp_resources.connectors.interfaces import Destination
from warp_resources.model.batches import Discard
from warp_resources.model.positions import Holder, Position, StreamState, TableState, batch_lease, stream_lease
from warp_resources.model.rewrites import RewriteState
from warp_resources.model.statistics import TableStatistics
from warp_resources.model.tables import TableId
from warp_resources.pipeline.engine import STREAM
from warp_resources.pipeline.options import open_destination, open_state
from warp_resources.pipeline.reading_progress import ReadingProgress


@dataclass(frozen=True, slots=True)
class TableStatus:
    """One line of ``status``; a stream's own line has the empty table name.

    ``age_seconds``: since the marker was last written, by this host's clock; an idle stream writes it every 5 s.
    Of a table that its stream goes on without, ``state`` is ``aside``, or ``not admitted`` if it never took part,
    ``age_seconds`` counts from then, ``position`` is where it stopped, and ``error`` says why.
    ``rewriting``: which columns of a large table are changing their type, and how far that is. ``readings``: first
    loads and resyncs that are not at their end.
    ``log_window_seconds``: the span that the source's log holds, None where that is not known. ``history``: of a stream
    and of a table that is set aside, whether that is enough, or why it is not known.
    """

    schema: str
    table: str
    mode: str
    state: str
    holder: str | None
    loaded: bool | None
    updated_at: datetime | None
    age_seconds: float | None
    rows_written: int
    rows_deleted: int
    dead_letters: int
    position: Position | None
    error: str | None
    discards: tuple[Discard, ...] = ()
    rewriting: str | None = None
    readings: tuple[ReadingProgress, ...] = ()
    log_window_seconds: float | None = None
    history: str | None = None


def status(
    context: typer.Context,
    schema: Annotated[list[str] | None, typer.Option(help="Only these schemas.")] = None,
    as_json: Json = False,
) -> None:
    """Show mode, position, age and holder of each schema and table, from the destination's metadata."""
    state: State = context.obj
    config = state.load()
    destination = open_destination(config)
    try:
        names = chosen_schemas(config, schema or state.schema_names())
        found = [line for name in names for line in table_statuses(config, destination, name)]
        found = with_history(config, destination, found)
    finally:
        destination.close()
    if as_json:
        show_json([asdict(line) for line in found])
        return
    _show(config, found)


def table_statuses(config: WarpConfig, destination: Destination, schema: str) -> Iterator[TableStatus]:
    """The stream's own line, then the tables' in name order; none before the first run."""
    stream, tables = destination.stream_state(schema), destination.table_states(schema)
    if stream is None and not tables:
        return
    figures = {one.table.name: one for one in destination.statistics(schema)}
    rewrites = {state.table.name: state for state in destination.rewrites(schema)}
    store = open_state(config, destination)
    try:
        streamer = store.lease_holder(stream_lease(schema))
        if stream is not None:
            whole = figures.get("") or TableStatistics(TableId(schema, ""))
            yield _stream_status(schema, stream, streamer, whole)
        readings = readings_of(destination, store, schema, tables)
        for name, state in sorted(tables.items()):
            table = TableId(schema, name)
            holder = streamer if state.mode == STREAM else store.lease_holder(batch_lease(table))
            line = _table_status(state, holder, stream, figures.get(name) or TableStatistics(table))
            yield replace(line, rewriting=_rewriting(rewrites.get(name)), readings=readings.get(name, ()))
    finally:
        store.close()


def with_history(config: WarpConfig, destination: Destination, lines: list[TableStatus]) -> list[TableStatus]:
    """The same lines, those of streams and of tables that are set aside with how far back the source's log goes."""
    schemas = [line.schema for line in lines if line.mode == STREAM and not line.table]
    told = history_of(config, destination, schemas) if schemas else {}
    return [
        replace(line, log_window_seconds=its.window_seconds, history=its.text)
        if (its := told.get((line.schema, line.table)))
        else line
        for line in lines
    ]


def holder_text(holder: Holder | None) -> str | None:
    """Who holds a lease, as people read it."""
    return f"process {holder.pid} on {holder.host.partition('[')[0]}" if holder else None


def _stream_status(schema: str, stream: StreamState, holder: Holder | None, figures: TableStatistics) -> TableStatus:
    return TableStatus(
        schema=schema,
        table="",
        mode=STREAM,
        state=_state(holder, figures),
        holder=holder_text(holder),
        loaded=None,
        updated_at=stream.updated_at,
        age_seconds=_age(stream.updated_at),
        rows_written=figures.rows_written,
        rows_deleted=figures.rows_deleted,
        dead_letters=figures.dead_letters,
        position=stream.position,
        error=figures.error if figures.status == "failed" else None,
    )


def _table_status(
    state: TableState, holder: Holder | None, stream: StreamState | None, figures: TableStatistics
) -> TableStatus:
    # A streamed table is as current as its stream, also where nothing of its own has come lately.
    is_streamed = state.mode == STREAM and stream is not None and state.covered_from is not None
    updated_at = stream.updated_at if is_streamed and stream is not None else state.updated_at
    if state.aside_position is not None:
        updated_at = state.aside_since
    return TableStatus(
        schema=state.table.schema,
        table=state.table.name,
        mode=state.mode,
        state=_aside_state(state) or _state(holder, figures),
        holder=holder_text(holder),
        loaded=state.is_loaded,
        updated_at=updated_at,
        age_seconds=_age(updated_at),
        rows_written=figures.rows_written,
        rows_deleted=figures.rows_deleted,
        dead_letters=figures.dead_letters,
        position=state.aside_position or state.position,
        error=state.aside_reason or (figures.error if figures.status == "failed" else None),
        discards=figures.discards,
    )


def _rewriting(state: RewriteState | None) -> str | None:
    if state is None:
        return None
    return f"rewriting {', '.join(state.columns)}: {int(state.share * 100)} %"


def _aside_state(state: TableState) -> str | None:
    if state.aside_position is None:
        return None
    return "aside" if state.covered_from is not None else "not admitted"


def _state(holder: Holder | None, figures: TableStatistics) -> str:
    if holder is not None:
        return "active"
    return "error" if figures.status == "failed" else "inactive"


def _age(at: datetime | None) -> float | None:
    return None if at is None else max(0.0, round((datetime.now(UTC) - at).total_seconds(), 3))


def _show(config: WarpConfig, found: list[TableStatus]) -> None:
    if not found:
        note("Nothing has run yet: cartridge-warp plan shows what would be done, cartridge-warp run does it")
        return
    headings = ("schema", "table", "mode", "state", "loaded", "age (s)", "written", "deleted", "dead letters", "holder")
    show_table(
        headings,
        [
            (
                line.schema,
                line.table or "(stream)",
                line.mode,
                line.state,
                line.loaded,
                None if line.age_seconds is None else f"{line.age_seconds:.0f}",
                line.rows_written,
                line.rows_deleted,
                line.dead_letters,
                line.holder,
            )
            for line in found
        ],
    )
    for line in found:
        for reading in line.readings:
            note(f"{line.schema}.{line.table}: {reading_text(reading)}")
        if line.rewriting:
            note(f"{line.schema}.{line.table}: {line.rewriting}")
        if line.history:
            note(f"{line.schema}.{line.table}: {line.history}".replace(".:", ":"))
        if line.error:
            note(f"{line.schema}.{line.table}: {line.error}".replace(".:", ":"))
