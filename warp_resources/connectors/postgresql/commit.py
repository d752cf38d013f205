"""Commits a batch: staging, fence, locks, tables and marker, in one transaction."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial

from warp_resources.connectors.postgresql.aside import aside_tables, note_aside
from warp_resources.connectors.postgresql.careful import Outcome, row_count, write_carefully
from warp_resources.connectors.postgresql.discards import add_discards
from warp_resources.connectors.postgresql.generations import move_slice
from warp_resources.connectors.postgresql.letters import add_errors
from warp_resources.connectors.postgresql.markers import (
    BATCH,
    STREAM,
    LockedRow,
    advance_table,
    lock_tables,
    move_stream,
)
from warp_resources.connectors.postgresql.patience import patience, work_time
from warp_resources.connectors.postgresql.refusals import refusal_of
from warp_resources.connectors.postgresql.session import Connection, Session
from warp_resources.connectors.postgresql.staged import (
    Staged,
    delete_layout,
    row_layout,
    stage_deletes,
    stage_rows,
)
from warp_resources.connectors.postgresql.staging import StagingTable, StagingTables
from warp_resources.connectors.postgresql.straight import straight_copy
from warp_resources.connectors.postgresql.table_commit import LockedTable, TablePart, write_part
from warp_resources.connectors.postgresql.table_failures import concerning
from warp_resources.connectors.rejections import Rejections
from warp_resources.errors import FencedOut, OperatorError
from warp_resources.failpoints import failpoint
from warp_resources.model.batches import ConformedBatch, ConformedTable, WriteReceipt
from warp_resources.model.positions import BatchCommit, ChunkCommit, Commit, StreamCommit
from warp_resources.model.tables import TableId

_NOTES = """
select t.name, exists (
    select from cartridge_warp_metadata.dead_letters as d
    where d.schema_name = %(schema)s and d.table_name = t.name and d.status = 'pending'
) as has_pending, exists (
    select from cartridge_warp_metadata.generations as g
    where g.schema_name = %(schema)s and g.table_name = t.name and g.status = 'open'
) as is_read, %(generation)s::text is null or exists (
    select from cartridge_warp_metadata.generations as g
    where g.schema_name = %(schema)s and g.table_name = t.name and g.generation = %(generation)s and g.status = 'open'
) as is_open, set_config('lock_timeout', coalesce(%(patience)s, current_setting('lock_timeout')), true),
    set_config('statement_timeout', case
        when %(work_time)s::text::interval < current_setting('statement_timeout')::interval then %(work_time)s::text
        else current_setting('statement_timeout') end, true) as work_time
from unnest(%(tables)s::text[]) as t (name)
"""


def write_batch(
    session: Session, staging: StagingTables, batch: ConformedBatch, rejections: Rejections
) -> WriteReceipt:
    """Commit all of a batch or nothing, but for single rows that the tables' own constraints refuse.

    Raises:
        FencedOut: another writer has taken over.
        TableFailure: a table's constraints refuse more rows than its rules allow.
        SchemaMoved: a table's schema is not the one that its part was conformed to.
        TransientError: nothing is committed, or the answer to the commit was lost; the marker tells which.
    """
    try:
        return _write(session, staging, batch, rejections)
    except OperatorError as error:
        if refusal_of(error.__cause__) is None:
            raise
    # Only now, so that a batch of which nothing is refused costs nothing more.
    return _write(session, staging, batch, rejections, carefully=True)


def _write(
    session: Session,
    staging: StagingTables,
    batch: ConformedBatch,
    rejections: Rejections,
    *,
    carefully: bool = False,
) -> WriteReceipt:
    tables = sorted(batch.tables, key=lambda part: part.schema.table)
    with session.connected() as connection:
        heads = [None if carefully else _head(connection, part, batch.commit) for part in tables]
        reserved = iter(staging.reserve(connection, [layout for part in tables for layout in _layouts(part)]))
    with session.transaction() as connection:
        parts = [_stage(connection, staging, reserved, *pair) for pair in zip(tables, heads, strict=True)]
        stream_sequence = _pass_fence(connection, batch.commit)
        named = {part.schema.table for part in tables}
        marked = {batch.commit.table} if isinstance(batch.commit, BatchCommit) else set()
        noted = aside_tables(batch.commit)
        rows = lock_tables(connection, [*named, *(marked | noted) - named], _mode(batch.commit))
        locked_at = time.monotonic()
        _refuse_overtaken(batch.commit, rows)
        locked = _locked(connection, parts, rows, batch.commit)
        failpoint("commit.locked")
        if carefully:
            outcomes = write_carefully(connection, parts, locked, batch.commit, batch.run_id, rejections)
        else:
            outcomes = _write_parts(connection, parts, locked, batch.commit, batch.run_id)
        for name in marked - named:
            _move_marker(connection, name, rows[name], batch.commit)
        note_aside(connection, batch.commit)
        staging.empty(connection)
        add_errors(connection, batch.errors, batch.run_id)
        add_discards(connection, tables)
        failpoint("commit.ready")
    # Into a table that is copied straight nobody else writes yet.
    seconds = 0.0 if any(part.head is not None for part in parts) else time.monotonic() - locked_at
    failpoint("commit.done")
    for name, outcome in outcomes.items():
        rejections.note(name, outcome.rows, outcome.refused)
    receipts = {name: outcome.receipt for name, outcome in outcomes.items()}
    return WriteReceipt(receipts, stream_sequence, locked_seconds=seconds)


def _write_parts(
    connection: Connection,
    parts: list[TablePart],
    locked: dict[TableId, LockedTable],
    commit: Commit,
    run_id: str,
) -> dict[TableId, Outcome]:
    outcomes = {}
    for part in parts:
        name = part.table.schema.table
        with concerning(connection, name, commit):
            receipt = write_part(connection, part, locked[name], commit, run_id)
        outcomes[name] = Outcome(receipt, row_count(part.table), 0)
    return outcomes


def _layouts(part: ConformedTable) -> list[tuple[str, ...]]:
    layouts = [row_layout(part)] if part.rows.num_rows else []
    if part.deletes is not None and part.deletes.num_rows:
        layouts.append(delete_layout(part, part.deletes))
    return layouts


def _head(connection: Connection, part: ConformedTable, commit: Commit) -> int | None:
    """How many rows have to be staged although the rest can be copied straight; None means all."""
    if not isinstance(commit, ChunkCommit):
        return None
    with concerning(connection, part.schema.table, commit):
        way = straight_copy(connection, part, commit)
    return None if way is None else way.head


def _stage(
    connection: Connection,
    staging: StagingTables,
    reserved: Iterator[StagingTable],
    part: ConformedTable,
    head: int | None,
) -> TablePart:
    rows: Staged | None = None
    deletes: Staged | None = None
    restage = _nothing_to_restage
    if part.rows.num_rows:
        table = next(reserved)
        if head != 0:
            count = part.rows.num_rows if head is None else head
            rows = stage_rows(connection, staging, table, part, 0, count)
        restage = partial(_restage, connection, staging, table, part)
    if part.deletes is not None and part.deletes.num_rows:
        deletes = stage_deletes(connection, staging, next(reserved), part, part.deletes)
    return TablePart(part, rows, deletes, head, restage)


def _restage(
    connection: Connection, staging: StagingTables, table: StagingTable, part: ConformedTable, start: int
) -> Staged:
    return stage_rows(connection, staging, table, part, start, part.rows.num_rows - start)


def _nothing_to_restage(start: int) -> Staged:
    raise AssertionError(f"a part without rows has none from {start} on")


def _pass_fence(connection: Connection, commit: Commit) -> int | None:
    if isinstance(commit, StreamCommit):
        return move_stream(connection, commit)
    if isinstance(commit, ChunkCommit):
        move_slice(connection, commit)
    return None


def _refuse_overtaken(commit: Commit, rows: dict[TableId, LockedRow]) -> None:
    """A batch table's fence is its own row, which is locked by now."""
    if not isinstance(commit, BatchCommit):
        return
    state = rows[commit.table].state if commit.table in rows else None
    if state is None or state.epoch != commit.epoch or state.mode != BATCH:
        raise FencedOut(
            "Another writer has taken over this table, so nothing of this batch was committed",
            remedy="Let that process go on",
            table=commit.table,
            epoch=commit.epoch,
        )


def _move_marker(connection: Connection, table: TableId, row: LockedRow, commit: Commit) -> None:
    """A batch table's marker may move although no row of it has changed."""
    if isinstance(commit, BatchCommit) and commit.position is not None:
        advance_table(
            connection,
            table,
            row,
            mode=BATCH,
            version=row.state.schema_version,
            stream_sequence=row.stream_sequence,
            position=commit.position,
        )


def _locked(
    connection: Connection, parts: list[TablePart], rows: dict[TableId, LockedRow], commit: Commit
) -> dict[TableId, LockedTable]:
    """What else is to be known of each table, asked only now that nobody can change it.

    From here on, locks on the tables themselves are waited for no longer than the commit has patience.
    """
    if not parts:
        return {}
    schema = parts[0].table.schema.table.schema
    generation = commit.generation if isinstance(commit, ChunkCommit) else None
    asked = {"schema": schema, "tables": [name.name for name in rows], "patience": patience(commit)}
    asked["work_time"] = work_time(commit)
    notes = connection.execute(_NOTES, asked | {"generation": generation}).fetchall()
    if not all(note.is_open for note in notes):
        # It ended while this reader claimed the slice, and with it the tombstones that the chunk would have needed.
        raise FencedOut(
            "The generation has ended since its slice was claimed, so nothing of this chunk was committed",
            remedy="Let the reading that follows it go on",
            generation=generation,
        )
    pending = {note.name for note in notes if note.has_pending}
    read = {note.name for note in notes if note.is_read}
    return {
        name: LockedTable(
            row=rows[name],
            has_pending=name.name in pending,
            is_read=name.name in read,
            may_copy=part.head is not None and _head(connection, part.table, commit) is not None,
        )
        for part in parts
        for name in (part.table.schema.table,)
    }


def _mode(commit: Commit) -> str:
    return BATCH if isinstance(commit, BatchCommit) else STREAM
