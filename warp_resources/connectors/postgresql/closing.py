"""Ends generations: removes what a whole reading proved stale, and frees what it held."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from psycopg import sql

from warp_resources.connectors.postgresql.conversions import compound_key, temporary_functions
from warp_resources.connectors.postgresql.generations import (
    end_generation,
    has_older_rows,
    idle_generations,
    open_generation,
    open_generations,
    release_slices,
)
from warp_resources.connectors.postgresql.letters import add_errors, supersede_unseen
from warp_resources.connectors.postgresql.markers import BATCH, STREAM, advance_table, lock_tables, set_loaded
from warp_resources.connectors.postgresql.registry import is_stored, latest_schema
from warp_resources.connectors.postgresql.runs import count_rows
from warp_resources.connectors.postgresql.session import Connection, Session
from warp_resources.connectors.postgresql.stale import (
    Stale,
    any_stale,
    count_blocks,
    heap_file,
    hold_table,
)
from warp_resources.connectors.postgresql.stale_removal import remove_stale
from warp_resources.connectors.postgresql.table_commit import SNAPSHOT
from warp_resources.errors import OperatorError
from warp_resources.model.batches import ErrorEntry, TableReceipt
from warp_resources.model.positions import GenerationState, Position, slice_lease
from warp_resources.model.tables import TableId, TableSchema

_BLOCKS = 256
"""Of the table, cleaned in one transaction, so that its row is never locked for long."""

# A key that was read but could not be written is not stale (whole-row letters since the generation opened).
_QUARANTINED = (
    "select key_text from cartridge_warp_metadata.dead_letters where schema_name = {} and table_name = {}"
    " and column_name is null and key_text is not null and sequence > {}"
)
_HIGHEST = """
select high from cartridge_warp_metadata.slices
where schema_name = %s and table_name = %s and generation = %s and high is not null
order by high desc limit 1
"""


def close_generation(session: Session, table: TableId, generation: str, run_id: str) -> int:
    """Remove stale rows in small transactions, then end the generation; safe to repeat after a crash."""
    with session.connected() as connection:
        state = open_generation(connection, table, generation)
        has_older = state is not None and has_older_rows(connection, state)
    if state is None:
        # Another process that read the last slices beside this one was first.
        return 0
    if not state.is_read:
        raise OperatorError(
            "Not every slice of the generation is read yet",
            remedy="Read the other slices first",
            table=table,
            generation=generation,
            unread=sum(not part.is_done for part in state.slices),
        )
    if state.is_whole:
        # First, so that no replay makes a row anew that is removed now.
        with session.transaction() as connection:
            lock_tables(connection, [table], STREAM)
            supersede_unseen(connection, table, state.first_sequence)
    removed = _remove_stale(session, state, run_id) if state.is_whole and has_older else 0
    with session.transaction() as connection:
        release_slices(connection, table, generation)
        row = lock_tables(connection, [table], STREAM)[table]
        if end_generation(connection, table, generation, "closed") and state.is_whole:
            set_loaded(connection, table, _high(connection, state) if row.state.mode == BATCH else None)
    return removed


def abandon_idle(connection: Connection, schema: str, idle: timedelta, is_held: Callable[[str], bool]) -> int:
    """End the generations that nobody has read on in for a time; how many."""
    found = idle_generations(connection, schema, idle)

    def is_meant(state: GenerationState) -> bool:
        return (state.table, state.generation) in found and not any(
            is_held(slice_lease(state.table, part.name)) for part in state.slices
        )

    return abandon(connection, sorted({table for table, _ in found}), is_meant, f"nothing of it was read for {idle}")


def abandon(
    connection: Connection, tables: Sequence[TableId], is_meant: Callable[[GenerationState], bool], reason: str
) -> int:
    """End generations of the tables without removing anything, and say why in ``error_log``; how many.

    Runs inside a transaction and locks as commits do: the slices' rows, then the tables'.
    """
    if not tables:
        return 0
    names = {table.name for table in tables}
    found = open_generations(connection, tables[0].schema)
    meant = [state for state in found if state.table.name in names and is_meant(state)]
    for state in meant:
        release_slices(connection, state.table, state.generation)
    lock_tables(connection, [state.table for state in meant], STREAM)
    ended = [state for state in meant if end_generation(connection, state.table, state.generation, "abandoned")]
    add_errors(connection, [_abandoned(state, reason) for state in ended], None)
    return len(ended)


def _abandoned(state: GenerationState, reason: str) -> ErrorEntry:
    return ErrorEntry(
        table=state.table,
        error_type="generation_abandoned",
        message=f"The generation {state.generation} was abandoned: {reason}",
        action="rows that no chunk has seen are kept",
    )


@dataclass(frozen=True, slots=True)
class _Heap:
    """Where the rows of a table lie: another file holds them after each rewrite."""

    file: int
    blocks: int


def _remove_stale(session: Session, state: GenerationState, run_id: str) -> int:
    removed, first_block = 0, 0
    heap = _heap(session, state.table)
    # Rows that are added or changed meanwhile land anywhere, but carry a later sequence.
    while heap is not None and first_block < heap.blocks:
        found = _clean(session, state, heap, first_block, run_id)
        if found is None:
            heap, first_block = _heap(session, state.table), 0
        else:
            removed += found
            first_block += _BLOCKS
    return removed


def _heap(session: Session, table: TableId) -> _Heap | None:
    with session.transaction() as connection:
        schema = latest_schema(connection, table)
        if schema is None or not is_stored(connection, schema):
            return None
        connection.execute(temporary_functions())
        connection.execute(hold_table(schema))
        blocks = connection.execute(count_blocks(schema)).fetchall()[0][0]
        return _Heap(_file(connection, schema), blocks)


def _clean(session: Session, state: GenerationState, heap: _Heap, first_block: int, run_id: str) -> int | None:
    """Remove what is stale in some blocks; None where the table was rewritten, so that its rows lie elsewhere."""
    table = state.table
    with session.transaction() as connection:
        stale = _stale(connection, state, heap, first_block)
        if stale is None:
            return None
        if not connection.execute(any_stale(stale)).fetchall()[0][0]:
            return 0
    with session.transaction() as connection:
        row = lock_tables(connection, [table], STREAM)[table]
        stale = _stale(connection, state, heap, first_block)
        if stale is None:
            return None
        sequence = row.state.sequence + 1
        removed, rejected = remove_stale(connection, stale, sequence, run_id)
        advance_table(
            connection,
            table,
            row,
            mode=row.state.mode,
            version=row.state.schema_version,
            stream_sequence=row.stream_sequence,
        )
        count_rows(
            connection,
            run_id,
            table,
            SNAPSHOT,
            TableReceipt(sequence, rows_deleted=removed, rows_rejected=rejected),
            None,
        )
        return removed


def _stale(connection: Connection, state: GenerationState, heap: _Heap, first_block: int) -> Stale | None:
    """What is stale in some blocks, as the table is now and stays until the transaction ends."""
    schema = latest_schema(connection, state.table)
    if schema is None:
        return None
    connection.execute(hold_table(schema))
    # Asked again, with nobody able to alter the table: the first answer only said which one to hold.
    schema = latest_schema(connection, state.table)
    if schema is None or _file(connection, schema) != heap.file:
        return None
    columns = [column for name in schema.key if (column := schema.column(name)) is not None]
    kept = sql.SQL(_QUARANTINED).format(
        sql.Literal(state.table.schema), sql.Literal(state.table.name), sql.Literal(state.first_sequence)
    )
    return Stale(
        schema=schema,
        key_text=compound_key(columns, "t"),
        kept=kept,
        first_sequence=state.first_sequence,
        first_block=first_block,
        end_block=first_block + _BLOCKS,
    )


def _file(connection: Connection, schema: TableSchema) -> int:
    return int(connection.execute(heap_file(schema)).fetchall()[0][0])


def _high(connection: Connection, state: GenerationState) -> Position | None:
    row = connection.execute(_HIGHEST, [state.table.schema, state.table.name, state.generation]).fetchone()
    if row is None:
        return None
    high: Position = row.high
    return high
