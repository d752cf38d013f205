"""Keeps generations: readings of whole tables, slice by slice, that survive crashes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import groupby
from typing import Any

from psycopg.types.json import Jsonb

from warp_resources.connectors.postgresql.plans import table_plan
from warp_resources.connectors.postgresql.session import Connection
from warp_resources.errors import FencedOut, GenerationClosed, OperatorError
from warp_resources.model.positions import ChunkCommit, GenerationState, KeyRange, Position, SliceState, slice_name
from warp_resources.model.tables import TableId

_KEY = "schema_name = %(schema)s and table_name = %(table)s"
_GENERATION = f"{_KEY} and generation = %(generation)s"
_SLICE = f"{_GENERATION} and slice = %(slice)s"
# Status is read before metadata of an earlier version is migrated: there the last two columns are not yet.
_OPEN = """
select g.table_name, g.generation, g.first_sequence, g.is_whole, g.ceiling, g.opened_at,
    s.slice, s.lower_bound, s.upper_bound, s.resume, s.is_done, s.high,
    coalesce((to_jsonb(s) ->> 'row_count')::bigint, 0) as row_count,
    coalesce((to_jsonb(s) ->> 'seconds')::double precision, 0) as seconds
from cartridge_warp_metadata.generations as g join cartridge_warp_metadata.slices as s
    on s.schema_name = g.schema_name and s.table_name = g.table_name and s.generation = g.generation
where g.status = 'open' and g.schema_name = %(schema)s
    and (%(table)s::text is null or g.table_name = %(table)s)
order by g.opened_at, g.table_name, g.generation, s.ordinal
"""
_BEGIN = """
insert into cartridge_warp_metadata.generations
    (schema_name, table_name, generation, first_sequence, is_whole, is_straight, ceiling)
values (%(schema)s, %(table)s, %(generation)s, %(sequence)s, false, %(straight)s, %(ceiling)s)
"""
_ADD_SLICE = """
insert into cartridge_warp_metadata.slices
    (schema_name, table_name, generation, slice, ordinal, lower_bound, upper_bound)
values (%(schema)s, %(table)s, %(generation)s, %(slice)s, %(ordinal)s, %(lower)s, %(upper)s)
on conflict do nothing
"""
_SEIZE = """
insert into cartridge_warp_metadata.sync_markers as m
    (schema_name, table_name, marker_type, slice, epoch)
values (%(schema)s, %(table)s, 'snapshot', %(slice)s, 1)
on conflict (schema_name, table_name, marker_type, slice) do update
set epoch = m.epoch + 1, updated_at = clock_timestamp()
returning epoch
"""
_SHOW = f"""
update cartridge_warp_metadata.sync_markers set position = %(position)s where {_KEY}
    and marker_type = 'snapshot' and slice = %(slice)s
"""
_FENCE = """
update cartridge_warp_metadata.sync_markers
set position = %(position)s, sequence = sequence + 1, updated_at = clock_timestamp()
where schema_name = %(schema)s and table_name = %(table)s and marker_type = 'snapshot' and slice = %(slice)s
    and epoch = %(epoch)s and position ->> 'generation' = %(generation)s
"""
_MOVE_SLICE = f"""
update cartridge_warp_metadata.slices
set resume = %(resume)s, is_done = %(done)s, high = coalesce(%(high)s, high), row_count = row_count + %(rows)s,
    seconds = seconds + %(seconds)s, updated_at = clock_timestamp()
where {_SLICE}
"""
# Whoever still reads a slice of an ended generation must not commit: the tombstones it needs are gone.
_RELEASE = """
update cartridge_warp_metadata.sync_markers set epoch = epoch + 1, updated_at = clock_timestamp()
where schema_name = %(schema)s and table_name = %(table)s and marker_type = 'snapshot'
    and position ->> 'generation' = %(generation)s
"""
_END = f"""
update cartridge_warp_metadata.generations set status = %(status)s, closed_at = clock_timestamp()
where {_GENERATION} and status = 'open'
"""
_CLEAR_TOMBSTONES = f"""
delete from cartridge_warp_metadata.tombstones where {_KEY} and not exists (
    select from cartridge_warp_metadata.generations where {_KEY} and status = 'open'
)
"""
_IDLE = """
select g.table_name, g.generation from cartridge_warp_metadata.generations as g
where g.status = 'open' and g.schema_name = %(schema)s
    and g.opened_at < clock_timestamp() - %(idle)s
    and not exists (
        select from cartridge_warp_metadata.slices as s
        where s.schema_name = g.schema_name and s.table_name = g.table_name and s.generation = g.generation
            and s.updated_at >= clock_timestamp() - %(idle)s
    )
order by g.table_name, g.generation
"""


def open_generations(connection: Connection, schema: str, table: str | None = None) -> list[GenerationState]:
    """The open generations of a schema or of one table, oldest first."""
    rows = connection.execute(_OPEN, {"schema": schema, "table": table}).fetchall()
    groups = groupby(rows, lambda row: (row.table_name, row.generation))
    return [_state(schema, list(group)) for _, group in groups]


def idle_generations(connection: Connection, schema: str, idle: timedelta) -> set[tuple[TableId, str]]:
    """The open generations in which nothing was committed for a time."""
    rows = connection.execute(_IDLE, {"schema": schema, "idle": idle}).fetchall()
    return {(TableId(schema, row.table_name), row.generation) for row in rows}


def open_generation(connection: Connection, table: TableId, generation: str) -> GenerationState | None:
    """An open generation by its name."""
    found = open_generations(connection, table.schema, table.name)
    return next((state for state in found if state.generation == generation), None)


def has_older_rows(connection: Connection, state: GenerationState) -> bool:
    """Whether the table may hold rows from before the generation: it was not empty when that opened."""
    key = {"schema": state.table.schema, "table": state.table.name, "generation": state.generation}
    query = f"select from cartridge_warp_metadata.generations where {_GENERATION} and not is_straight"
    return connection.execute(query, key).fetchone() is not None


def begin_generation(
    connection: Connection,
    table: TableId,
    generation: str,
    slices: Sequence[str] | None,
    *,
    sequence: int,
    is_straight: bool,
    ceiling: Position | None,
    removes_stale: bool = True,
) -> GenerationState:
    """Open a generation over the stored plan, or widen the open one of that name; under the table's lock."""
    plan = {slice_name(ordinal): part for ordinal, part in enumerate(table_plan(connection, table))}
    wanted = set(plan if slices is None else slices)
    unknown = sorted(wanted - plan.keys())
    if not plan or unknown:
        raise OperatorError(
            "The slices to read are not in the table's plan",
            remedy="Plan the table first" if not plan else f"Choose from {', '.join(plan)}",
            table=table,
            unknown=unknown,
        )
    key = {"schema": table.schema, "table": table.name, "generation": generation}
    known = open_generation(connection, table, generation)
    if known is None:
        _forget(connection, key)
        its = {"sequence": sequence, "straight": is_straight, "ceiling": None if ceiling is None else Jsonb(ceiling)}
        connection.execute(_BEGIN, key | its)
    for ordinal, (name, part) in enumerate(plan.items()):
        if name in wanted:
            bounds = {"slice": name, "ordinal": ordinal, "lower": part.lower, "upper": part.upper}
            connection.execute(_ADD_SLICE, key | bounds)
    covered = wanted | ({part.name for part in known.slices} if known else set())
    connection.execute(
        f"update cartridge_warp_metadata.generations set is_whole = is_whole or %(whole)s where {_GENERATION}",
        key | {"whole": removes_stale and covered == plan.keys()},
    )
    return require_open(connection, table, generation)


def require_open(connection: Connection, table: TableId, generation: str) -> GenerationState:
    """An open generation by its name, or an error that says that it has ended."""
    state = open_generation(connection, table, generation)
    if state is None:
        raise GenerationClosed(
            "The generation is not open",
            remedy="Start a new resync of the table",
            table=table,
            generation=generation,
        )
    return state


def seize_slice(connection: Connection, table: TableId, generation: str, name: str) -> tuple[int, SliceState]:
    """Raise the epoch of a slice's marker row, so that no earlier reader can commit."""
    key = {"schema": table.schema, "table": table.name, "slice": name}
    row = connection.execute(_SEIZE, key).fetchone()
    # Read only now, with the row locked: an earlier reader may have committed until a moment ago.
    state = require_open(connection, table, generation)
    part = next((part for part in state.slices if part.name == name), None)
    if row is None or part is None:
        raise OperatorError(
            "The generation does not read this slice",
            remedy=f"Choose from {', '.join(part.name for part in state.slices)}",
            table=table,
            slice=name,
        )
    position = Jsonb(_position(generation, part.resume, part.is_done, part.high))
    connection.execute(_SHOW, key | {"position": position})
    return int(row.epoch), part


def move_slice(connection: Connection, commit: ChunkCommit) -> None:
    """The slice's fence: move its marker row, which locks it, or raise ``FencedOut``."""
    key = {
        "schema": commit.table.schema,
        "table": commit.table.name,
        "generation": commit.generation,
        "slice": commit.slice,
    }
    position = Jsonb(_position(commit.generation, commit.resume, commit.is_done, commit.high))
    moved = connection.execute(_FENCE, key | {"position": position, "epoch": commit.epoch})
    if moved.rowcount != 1:
        raise FencedOut(
            "Another reader has taken over this slice, or its generation has ended; nothing was committed",
            remedy="Let that process go on",
            table=commit.table,
            generation=commit.generation,
            slice=commit.slice,
            epoch=commit.epoch,
        )
    high = None if commit.high is None else Jsonb(commit.high)
    reached = {"resume": commit.resume, "done": commit.is_done, "high": high}
    read = {"rows": commit.row_count, "seconds": commit.seconds}
    connection.execute(_MOVE_SLICE, key | reached | read)


def release_slices(connection: Connection, table: TableId, generation: str) -> None:
    """Shut out whoever reads a slice of the generation; before the table's row is locked, as commits do."""
    connection.execute(_RELEASE, {"schema": table.schema, "table": table.name, "generation": generation})


def end_generation(connection: Connection, table: TableId, generation: str, status: str) -> bool:
    """Close a generation under the table's lock; the last one takes the tombstones with it."""
    key = {"schema": table.schema, "table": table.name, "generation": generation}
    ended = connection.execute(_END, key | {"status": status}).rowcount == 1
    connection.execute(_CLEAR_TOMBSTONES, key)
    return ended


def _forget(connection: Connection, key: dict[str, str]) -> None:
    for name in ("slices", "generations"):
        connection.execute(f"delete from cartridge_warp_metadata.{name} where {_GENERATION}", key)


def _state(schema: str, rows: list[Any]) -> GenerationState:
    first = rows[0]
    return GenerationState(
        table=TableId(schema, first.table_name),
        generation=first.generation,
        first_sequence=first.first_sequence,
        is_whole=first.is_whole,
        slices=tuple(
            SliceState(
                generation=row.generation,
                name=row.slice,
                range=KeyRange(row.lower_bound, row.upper_bound),
                resume=row.resume,
                is_done=row.is_done,
                high=row.high,
                row_count=row.row_count,
                seconds=row.seconds,
            )
            for row in rows
        ),
        ceiling=first.ceiling,
        opened_at=first.opened_at,
    )


def _position(generation: str, resume: str | None, is_done: bool, high: Position | None) -> Position:
    return {"generation": generation, "resume": resume, "done": is_done, "high": high}
