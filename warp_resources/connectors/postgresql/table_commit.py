"""Writes one table's part of a commit, with the table's row locked."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from warp_resources.connectors.postgresql.evolve import apply_changes
from warp_resources.connectors.postgresql.letters import (
    Origin,
    add_errors,
    add_letters,
    newer_letters,
    newer_tombstones,
    supersede_letters,
)
from warp_resources.connectors.postgresql.markers import BATCH, STREAM, LockedRow, advance_table
from warp_resources.connectors.postgresql.merge import (
    SOURCE,
    Rule,
    bury_keys,
    delete_rows,
    merge_rows,
    skipped_rows,
    unstage_rows,
)
from warp_resources.connectors.postgresql.repeats import News, news
from warp_resources.connectors.postgresql.runs import count_rows
from warp_resources.connectors.postgresql.session import Connection
from warp_resources.connectors.postgresql.staged import Staged
from warp_resources.connectors.postgresql.straight import copy_tail
from warp_resources.errors import SchemaMoved
from warp_resources.model.batches import ConformedTable, TableReceipt
from warp_resources.model.positions import BatchCommit, ChunkCommit, Commit, Position, ReplayCommit, StreamCommit
from warp_resources.model.tables import TableId

SNAPSHOT = "snapshot"


@dataclass(frozen=True, slots=True)
class TablePart:
    """What one table brings to a commit, and what is staged of it.

    ``restage`` stages the rows from a given one on, for rows that were to be copied straight.
    ``head`` is how many rows are staged already; None means all.
    """

    table: ConformedTable
    rows: Staged | None
    deletes: Staged | None
    head: int | None
    restage: Callable[[int], Staged]


@dataclass(frozen=True, slots=True)
class LockedTable:
    """What is known of a table once its row is locked."""

    row: LockedRow
    has_pending: bool
    is_read: bool
    may_copy: bool

    @property
    def sequence(self) -> int:
        return self.row.state.sequence + 1


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a part's rows and deletes; ``outdated`` are the keys that are newer than the chunk."""

    written: int
    deleted: int
    outdated: Collection[str] = ()


def write_part(
    connection: Connection, part: TablePart, locked: LockedTable, commit: Commit, run_id: str
) -> TableReceipt:
    """DDL, rows, deletes, dead letters, the table's marker and the run's counts, in this order.

    Raises:
        SchemaMoved: another writer changed the table since the batch was conformed.
    """
    begin_part(connection, part.table, locked, run_id)
    copied, staged = _copy_straight(connection, part, locked)
    # Only now is all of it staged that is to be merged, and no delete can commit before this commit does.
    outdated = outdated_keys(connection, part.table, staged, locked, commit)
    written = copied + merge_staged(connection, staged, locked, commit)
    deleted = delete_staged(connection, part, locked, commit)
    return finish_part(connection, part.table, locked, commit, run_id, Done(written, deleted, outdated))


def begin_part(connection: Connection, table: ConformedTable, locked: LockedTable, run_id: str) -> None:
    """Give the table the schema that its part was conformed to."""
    state = locked.row.state
    if state.schema_version != table.based_on:
        raise SchemaMoved(
            "Another writer changed the table's schema since this batch was conformed",
            table=table.schema.table,
            based_on=table.based_on,
            found=state.schema_version,
        )
    apply_changes(connection, table, run_id)


def finish_part(
    connection: Connection, table: ConformedTable, locked: LockedTable, commit: Commit, run_id: str, done: Done
) -> TableReceipt:
    """Dead letters, error entries, the table's marker and the run's counts, once its rows are written."""
    name = table.schema.table
    basis = commit.basis if isinstance(commit, ChunkCommit) else locked.sequence
    origin = Origin(locked.sequence, basis, _position(commit, name), run_id)
    told = news(connection, table, origin) if locked.has_pending else News(table.dead_letters, table.errors)
    if locked.has_pending:
        supersede_letters(connection, name, _keys(table), until=basis, kept=told.renewed)
    add_letters(connection, told.letters, origin, done.outdated)
    is_unchanged = isinstance(commit, BatchCommit) and not done.written and not table.changes
    add_errors(connection, told.losses if is_unchanged else told.errors, run_id)
    _advance(connection, table, locked, commit)
    receipt = TableReceipt(locked.sequence, done.written, done.deleted, len(told.letters), table.byte_count)
    counted_as = commit.counted_as if isinstance(commit, BatchCommit) else mode_of(commit)
    count_rows(connection, run_id, name, counted_as, receipt, _position(commit, name))
    return receipt


def mode_of(commit: Commit) -> str:
    """What kind of marker a commit moves."""
    if isinstance(commit, ChunkCommit):
        return SNAPSHOT
    return STREAM if isinstance(commit, StreamCommit) else BATCH


def _copy_straight(connection: Connection, part: TablePart, locked: LockedTable) -> tuple[int, Staged | None]:
    """Copy what may be copied straight: how many rows, and the staged ones that are left to merge."""
    if part.head is None or not part.table.rows.num_rows:
        return 0, part.rows
    if locked.may_copy and copy_tail(connection, part.table, part.head, sequence=locked.sequence):
        return part.table.rows.num_rows - part.head, part.rows
    return 0, part.restage(part.head)


def outdated_keys(
    connection: Connection, table: ConformedTable, staged: Staged | None, locked: LockedTable, commit: Commit
) -> set[str]:
    """Take rows that were deleted, or quarantined whole, since a chunk was read out of staging; the keys of all that
    are newer than it.
    """
    if not isinstance(commit, ChunkCommit):
        return set()
    basis = commit.basis
    gone = newer_tombstones(connection, table.schema.table, basis)
    if locked.has_pending:
        gone += newer_letters(connection, table.schema.table, basis)
    if staged is None or not (gone or table.dead_letters):
        return set(gone)
    keys = table.row_keys()
    if gone:
        rows = pc.indices_nonzero(pc.is_in(keys, value_set=pa.array(gone, pa.string()))).to_pylist()
        connection.execute(unstage_rows(staged.target.staging, staged.extra, rows))
    if not table.dead_letters:
        return set(gone)
    skipped = connection.execute(skipped_rows(staged.target, staged.extra, basis=basis)).fetchall()
    return {*gone, *(keys[row[0]].as_py() for row in skipped)}


def rule_of(commit: Commit) -> tuple[Rule, int]:
    """Which rows a commit overwrites, and the basis that this is told by."""
    if isinstance(commit, ChunkCommit):
        return Rule.UNLESS_NEWER, commit.basis
    return (Rule.IF_DIFFERENT if isinstance(commit, BatchCommit) else Rule.ALWAYS), 0


def merge_staged(connection: Connection, staged: Staged | None, locked: LockedTable, commit: Commit) -> int:
    """Upsert what is staged; how many rows."""
    if staged is None:
        return 0
    rule, basis = rule_of(commit)
    merge = merge_rows(staged.target, rule, sequence=locked.sequence, basis=basis)
    return connection.execute(merge).rowcount


def delete_staged(connection: Connection, part: TablePart, locked: LockedTable, commit: Commit) -> int:
    """Bury and remove the keys that are staged for it; how many rows were there."""
    staged = part.deletes
    if staged is None:
        return 0
    target, sequence = staged.target, locked.sequence
    if leaves_tombstones(locked, commit):
        connection.execute(bury_keys(target.schema, target.staging, staged.extra, sequence=sequence))
    if not part.table.schema.version:
        return 0
    deletion = delete_rows(
        target,
        staged.extra,
        sequence=sequence,
        position=_position(commit, target.schema.table),
        cause=commit.cause if isinstance(commit, BatchCommit | ChunkCommit) else SOURCE,
        basis=commit.basis if isinstance(commit, ChunkCommit) else None,
    )
    return connection.execute(deletion).rowcount


def leaves_tombstones(locked: LockedTable, commit: Commit) -> bool:
    """Whether the commit's deletes are to hold back chunks that are under way.

    Those of a repair are not: what it did not find says nothing of what came since, which a chunk may have read.
    """
    return locked.is_read and not isinstance(commit, ChunkCommit)


def _keys(table: ConformedTable) -> list[str | None]:
    keys = [letter.key_text for letter in table.dead_letters]
    if table.rows.num_rows:
        keys += table.row_keys().to_pylist()
    if table.deletes is not None and table.deletes.num_rows:
        keys += table.delete_keys().to_pylist()
    return [key for key in keys if key is not None]


def _advance(connection: Connection, table: ConformedTable, locked: LockedTable, commit: Commit) -> None:
    is_chunk = isinstance(commit, ChunkCommit)
    advance_table(
        connection,
        table.schema.table,
        locked.row,
        mode=locked.row.state.mode if is_chunk else mode_of(commit),
        version=table.schema.version if table.changes else table.based_on,
        stream_sequence=locked.row.stream_sequence if is_chunk else locked.sequence,
        position=commit.position if isinstance(commit, BatchCommit) else None,
    )


def _position(commit: Commit, table: TableId) -> Position | None:
    if isinstance(commit, ChunkCommit):
        return {"generation": commit.generation, "slice": commit.slice, "resume": commit.resume}
    if isinstance(commit, ReplayCommit):
        return None
    return commit.place(table) if isinstance(commit, StreamCommit) else commit.position
