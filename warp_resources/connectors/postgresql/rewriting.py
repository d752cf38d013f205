"""Takes the type changes of large tables further, one small transaction at a time."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import psycopg

from warp_resources.connectors.postgresql.conversions import temporary_functions
from warp_resources.connectors.postgresql.filling import (
    Blocks,
    add_proof,
    fill_blocks,
    hold_for_writing,
    lock_alone,
    lost_signs,
    signed_columns,
    swap,
)
from warp_resources.connectors.postgresql.large import burdened
from warp_resources.connectors.postgresql.letters import add_errors
from warp_resources.connectors.postgresql.markers import STREAM, LockedRow, advance_table, lock_tables
from warp_resources.connectors.postgresql.registry import add_version, is_stored, latest_schema
from warp_resources.connectors.postgresql.rewrites import (
    CHECK,
    FILL,
    Progress,
    begin_filling,
    drop_proof,
    end_filling,
    heap,
    progress_of,
    save_progress,
    state_of,
)
from warp_resources.connectors.postgresql.session import Connection, Session
from warp_resources.connectors.postgresql.table_failures import made_anew
from warp_resources.errors import TableFailure
from warp_resources.evolution.losses import stored_negative_zeros
from warp_resources.evolution.rewriting import end_rewrites
from warp_resources.model.batches import ErrorEntry
from warp_resources.model.rewrites import RewriteState
from warp_resources.model.tables import TableId, TableSchema

_LOCK_TIMEOUT = "100ms"
"""Readers that come while a lock is waited for wait too, so this is how long they do at most."""
_MOST_KEYS = 20
_FIRST_BLOCKS, _FEWEST_BLOCKS, _MOST_BLOCKS = 64, 4, 2_048
_QUICK_SECONDS, _SLOW_SECONDS = 0.03, 0.08
_HAS_FUNCTIONS = "select to_regproc('pg_temp.warp_string_key') is not null as is_there"


class Pace:
    """How many blocks of a table one step takes, so that its locks are held for less than a tenth of a second."""

    def __init__(self) -> None:
        self._blocks: dict[tuple[TableId, str], int] = {}

    def blocks(self, table: TableId, stage: str) -> int:
        return self._blocks.get((table, stage), _FIRST_BLOCKS)

    def learn(self, table: TableId, stage: str, seconds: float) -> None:
        count = self.blocks(table, stage)
        if seconds > _SLOW_SECONDS:
            count = max(_FEWEST_BLOCKS, count // 2)
        elif seconds < _QUICK_SECONDS:
            count = min(_MOST_BLOCKS, count * 2)
        self._blocks[table, stage] = count


@dataclass(frozen=True, slots=True)
class _Step:
    """A table, locked against other writers, with its schema and how far it has come."""

    connection: Connection
    row: LockedRow
    schema: TableSchema
    progress: Progress
    run_id: str


def advance_rewrite(session: Session, pace: Pace, table: TableId, run_id: str) -> RewriteState | None:
    """Fill some blocks, or put the filled columns in place; None where nothing of the table is rewritten.

    Every step is a transaction of its own under the table's row, like any writer's. Safe to repeat after a crash.

    Raises:
        TableFailure: the table is gone.
    """
    with session.connected() as connection:
        try:
            with connection.transaction():
                return _advance(connection, pace, table, run_id)
        except psycopg.errors.LockNotAvailable:
            schema = latest_schema(connection, table)
            progress = progress_of(connection, schema) if schema is not None else None
            return state_of(schema, progress, is_waiting=True) if schema and progress else None


def _advance(connection: Connection, pace: Pace, table: TableId, run_id: str) -> RewriteState | None:
    connection.execute(f"set local lock_timeout = '{_LOCK_TIMEOUT}'")
    row = lock_tables(connection, [table], STREAM)[table]
    schema = latest_schema(connection, table)
    if schema is None:
        return None
    if not schema.rewritten:
        # Of a table of that name before this one.
        end_filling(connection, schema)
        return None
    if not is_stored(connection, schema):
        raise TableFailure(
            "The table that is being rewritten is gone",
            remedy=made_anew(table),
            table=table,
        )
    if not connection.execute(_HAS_FUNCTIONS).fetchall()[0].is_there:
        connection.execute(temporary_functions())
    connection.execute(hold_for_writing(schema))
    step = _Step(connection, row, schema, _found(connection, schema), run_id)
    if not step.progress.is_through:
        return _fill(step, pace)
    return _prove(step) if step.progress.stage == FILL else _swap(step)


def _found(connection: Connection, schema: TableSchema) -> Progress:
    """How far the table has come; from the start of the stage where its rows lie elsewhere by now."""
    progress = progress_of(connection, schema)
    if progress is None:
        begin_filling(connection, schema)
        progress = progress_of(connection, schema)
    if progress is None:
        raise AssertionError("a filling that has begun has its row")
    file, blocks = heap(connection, schema)
    return progress if progress.file == file else Progress(progress.stage, file, 0, blocks)


def _fill(step: _Step, pace: Pace) -> RewriteState:
    connection, schema, at = step.connection, step.schema, step.progress
    began = time.monotonic()
    blocks = Blocks(at.next_block, at.next_block + pace.blocks(schema.table, at.stage))
    add_errors(connection, _lost_signs(step, blocks), step.run_id)
    connection.execute(fill_blocks(schema, blocks))
    reached = replace(at, next_block=blocks.end)
    save_progress(connection, schema, reached)
    pace.learn(schema.table, at.stage, time.monotonic() - began)
    return state_of(schema, reached)


def _lost_signs(step: _Step, blocks: Blocks) -> list[ErrorEntry]:
    entries = []
    for column, former in signed_columns(step.schema):
        statement = lost_signs(step.schema, column, former, blocks, _MOST_KEYS)
        [found] = step.connection.execute(statement).fetchall()
        if found.found_count:
            entries.append(stored_negative_zeros(step.schema.table, column.name, found.found_count, found.keys))
    return entries


def _prove(step: _Step) -> RewriteState:
    """Let nobody write a row as before any more, and begin to look whether somebody has."""
    step.connection.execute(add_proof(step.schema))
    _, blocks = heap(step.connection, step.schema)
    reached = Progress(CHECK, step.progress.file, 0, blocks)
    save_progress(step.connection, step.schema, reached)
    return state_of(step.schema, reached)


def _swap(step: _Step) -> RewriteState:
    connection, schema = step.connection, step.schema
    connection.execute(lock_alone(schema))
    homes = [column.rewrite.formers[-1].stored for column in schema.rewritten if column.rewrite is not None]
    connection.execute(drop_proof(schema))
    for statement in swap(schema, burdened(connection, schema, homes)):
        connection.execute(statement)
    after, changes = end_rewrites(schema)
    add_version(connection, after, changes, step.run_id)
    state = step.row.state
    advance_table(
        connection,
        schema.table,
        step.row,
        mode=state.mode,
        version=after.version,
        stream_sequence=step.row.stream_sequence,
    )
    end_filling(connection, schema)
    return RewriteState(schema.table, tuple(column.name for column in schema.rewritten), 1.0)
