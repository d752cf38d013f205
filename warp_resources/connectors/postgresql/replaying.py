"""Writes the records of dead letters again and settles the letters, with the table's row locked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from warp_resources.connectors.postgresql.generations import open_generations
from warp_resources.connectors.postgresql.markers import STREAM, LockedRow, advance_table, lock_tables
from warp_resources.connectors.postgresql.merge import found_rows
from warp_resources.connectors.postgresql.patience import limit_wait
from warp_resources.connectors.postgresql.refusals import with_refusals
from warp_resources.connectors.postgresql.retrying import Refused, delete_keys, write_rows
from warp_resources.connectors.postgresql.runs import count_rows
from warp_resources.connectors.postgresql.session import Connection, Session
from warp_resources.connectors.postgresql.settling import pending_letters, record_verdict
from warp_resources.connectors.postgresql.staged import (
    Staged,
    delete_layout,
    row_layout,
    stage_deletes,
    stage_rows,
)
from warp_resources.connectors.postgresql.staging import StagingTables
from warp_resources.connectors.postgresql.table_commit import LockedTable, begin_part
from warp_resources.connectors.postgresql.table_failures import concerning
from warp_resources.evolution.replays import Settlement, settle, writable_keys
from warp_resources.model.batches import ConformedBatch, ConformedTable, TableReceipt, WriteReceipt
from warp_resources.model.positions import ReplayCommit

REPLAY = "replay"
"""The mode under which runs count what they replay."""

# What is replayed is done, whatever else its run is at.
_FINISH = f"""
update cartridge_warp_metadata.sync_runs set status = 'success', finished_at = clock_timestamp()
where run_id = %(run)s and schema_name = %(schema)s and table_name = %(table)s and mode = '{REPLAY}'
"""
# A reading that found the table empty would take none of its rows for older than itself.
_TOUCHED = """
update cartridge_warp_metadata.generations set is_straight = false
where schema_name = %(schema)s and table_name = %(table)s and status = 'open' and is_straight
"""


@dataclass(frozen=True, slots=True)
class _Part:
    """What the records gave, staged, with the keys of its rows and deletes in that order."""

    table: ConformedTable
    rows: Staged | None
    deletes: Staged | None
    row_keys: Sequence[str]
    delete_keys: Sequence[str]


def write_replay(session: Session, staging: StagingTables, batch: ConformedBatch, commit: ReplayCommit) -> WriteReceipt:
    """Commit what the records gave, if anything, and the verdict on each letter.

    Raises:
        SchemaMoved: the table's schema is not the one that its part was conformed to.
        TableFailure: the table itself cannot be written.
    """
    with session.connected() as connection:
        layouts = [layout for table in batch.tables for layout in _layouts(table)]
        reserved = iter(staging.reserve(connection, layouts))
    with session.transaction() as connection:
        parts = []
        for table in batch.tables:
            rows = deletes = None
            if table.rows.num_rows:
                rows = stage_rows(connection, staging, next(reserved), table, 0, table.rows.num_rows)
            if table.deletes is not None and table.deletes.num_rows:
                deletes = stage_deletes(connection, staging, next(reserved), table, table.deletes)
            parts.append(_part(table, rows, deletes))
        row = lock_tables(connection, [commit.table], STREAM)[commit.table]
        limit_wait(connection, commit)
        with concerning(connection, commit.table, commit):
            receipt = _replay(connection, parts[0] if parts else None, row, commit, batch.run_id)
        staging.empty(connection)
    return receipt


def _layouts(table: ConformedTable) -> list[tuple[str, ...]]:
    layouts = [row_layout(table)] if table.rows.num_rows else []
    if table.deletes is not None and table.deletes.num_rows:
        layouts.append(delete_layout(table, table.deletes))
    return layouts


def _part(table: ConformedTable, rows: Staged | None, deletes: Staged | None) -> _Part:
    return _Part(
        table,
        rows,
        deletes,
        row_keys=table.row_keys().to_pylist() if rows else [],
        delete_keys=table.delete_keys().to_pylist() if deletes else [],
    )


def _replay(
    connection: Connection, part: _Part | None, row: LockedRow, commit: ReplayCommit, run_id: str
) -> WriteReceipt:
    if part is None:
        verdict = settle(commit, pending_letters(connection, commit), (), (), (), ())
        record_verdict(connection, verdict, run_id)
        return WriteReceipt(letters=verdict.outcome)
    is_read = bool(open_generations(connection, commit.table.schema, commit.table.name))
    locked = LockedTable(row, has_pending=True, is_read=is_read, may_copy=False)
    begin_part(connection, part.table, locked, run_id)
    # What is checked at the end of the transaction only would refuse the batch as a whole.
    connection.execute("set constraints all immediate")
    written, deleted, verdict = _write(connection, part, locked, commit)
    if written and is_read:
        connection.execute(_TOUCHED, {"schema": commit.table.schema, "table": commit.table.name})
    record_verdict(connection, verdict, run_id)
    _advance(connection, part.table, row)
    receipt = TableReceipt(locked.sequence, written, deleted, len(verdict.new), part.table.byte_count)
    count_rows(connection, run_id, commit.table, REPLAY, receipt, None)
    connection.execute(_FINISH, {"run": run_id, "schema": commit.table.schema, "table": commit.table.name})
    return WriteReceipt({commit.table: receipt}, letters=verdict.outcome)


def _write(
    connection: Connection, part: _Part, locked: LockedTable, commit: ReplayCommit
) -> tuple[int, int, Settlement]:
    """Rows and deletes of keys that nobody has touched since; how many of each, and what that means for the letters."""
    pending = pending_letters(connection, commit)
    overtaken = _overtaken(connection, part, commit)
    meant = writable_keys(commit, pending) - overtaken
    written = deleted = 0
    refused_rows: Refused[int] = []
    refused_deletes: Refused[str] = []
    if part.rows is not None:
        stamps = [commit.keys[key].sequence if key in commit.keys else 0 for key in part.row_keys]
        rows = [number for number, key in enumerate(part.row_keys) if key in meant]
        written, refused_rows = write_rows(connection, part.rows, rows, stamps)
    if part.deletes is not None:
        keys = {key: commit.keys[key].sequence for key in part.delete_keys if key in meant}
        deleted, refused_deletes = delete_keys(connection, part.deletes, keys, buries=locked.is_read)
    table = with_refusals(part.table, refused_rows, refused_deletes)
    present = {*part.row_keys, *part.delete_keys, *(letter.key_text for letter in table.dead_letters)}
    return written, deleted, settle(commit, pending, overtaken, present, table.dead_letters, table.errors)


def _overtaken(connection: Connection, part: _Part, commit: ReplayCommit) -> set[str]:
    """The keys whose row was written since their letters were."""
    found: list[tuple[str, int]] = []
    if part.rows is not None:
        rows = connection.execute(found_rows(part.rows.target, part.rows.extra)).fetchall()
        found += [(part.row_keys[number], sequence) for number, sequence in rows]
    if part.deletes is not None and part.table.schema.version:
        found += connection.execute(found_rows(part.deletes.target, part.deletes.extra)).fetchall()
    return {key for key, sequence in found if key in commit.keys and sequence > commit.keys[key].sequence}


def _advance(connection: Connection, table: ConformedTable, row: LockedRow) -> None:
    advance_table(
        connection,
        table.schema.table,
        row,
        mode=row.state.mode,
        version=table.schema.version if table.changes else table.based_on,
        stream_sequence=row.stream_sequence,
    )
