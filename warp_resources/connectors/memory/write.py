"""Writes one conformed batch into a draft of the store, under the fence of its commit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

from warp_resources.connectors.memory.alter import apply_changes
from warp_resources.connectors.memory.store import (
    PENDING,
    SUPERSEDED,
    Contents,
    Deletion,
    Run,
    StoredLetter,
    StoredRow,
    StoredTable,
    now,
)
from warp_resources.connectors.openings import told_slices
from warp_resources.errors import FencedOut, SchemaMoved
from warp_resources.model.batches import (
    ConformedBatch,
    ConformedTable,
    DeadLetter,
    ErrorEntry,
    TableReceipt,
    WriteReceipt,
)
from warp_resources.model.positions import BatchCommit, ChunkCommit, Commit, ReplayCommit, StreamCommit
from warp_resources.model.tables import TableId
from warp_resources.model.versions import SchemaVersion

Loss: TypeAlias = tuple[str | None, ...]
"""What makes two dead letters of one table the same."""


def write(contents: Contents, batch: ConformedBatch) -> WriteReceipt:
    """Apply all of a batch to a draft.

    Raises:
        FencedOut: another writer has taken over.
        SchemaMoved: a table has another version than the one that its part is based on.
    """
    demand_fence(contents, batch.commit)
    receipts = {
        part.schema.table: _write_table(contents, part, batch.commit, batch.run_id)
        for part in sorted(batch.tables, key=lambda part: part.schema.table)
    }
    for entry in batch.errors:
        contents.log_error(entry, batch.run_id)
    for table, receipt in receipts.items():
        count_rows(contents, batch.run_id, table, _mode(batch.commit), receipt)
    return WriteReceipt(receipts, _move_marker(contents, batch.commit))


def demand_fence(contents: Contents, commit: Commit) -> None:
    """Raise ``FencedOut`` unless the marker row of a commit is still as its writer left it."""
    match commit:
        case StreamCommit():
            stream = contents.streams.get(commit.schema)
            holds = stream is not None and (stream.epoch, stream.sequence) == (commit.epoch, commit.sequence)
            where = f"stream of {commit.schema}"
        case ChunkCommit():
            table = contents.tables.get(commit.table)
            holds = (
                table is not None
                and (commit.table, commit.generation) in contents.generations
                and table.slice_epochs.get(commit.slice) == commit.epoch
                and table.slice_readings.get(commit.slice) == commit.generation
            )
            where = f"{commit.slice} of {commit.table}"
        case BatchCommit():
            table = contents.tables.get(commit.table)
            holds = table is not None and table.state.epoch == commit.epoch
            where = f"batch of {commit.table}"
        case ReplayCommit():
            # Fenced by its letters, each of which must still be pending.
            return
    if not holds:
        raise FencedOut(
            "Another writer has taken over since this batch was built",
            remedy="Nothing of it was committed; read again from the marker",
            writer=where,
            epoch=commit.epoch,
        )


def _write_table(contents: Contents, part: ConformedTable, commit: Commit, run_id: str) -> TableReceipt:
    table_id = part.schema.table
    table = register(contents, part, run_id)
    sequence = table.next_sequence()
    is_newer = _newer_than(contents, table, commit)
    written = _put_rows(table, part, sequence, is_newer, keep_equal=isinstance(commit, BatchCommit))
    delete_keys = [] if part.deletes is None else part.delete_keys().to_pylist()
    deleted = [key for key in delete_keys if not is_newer(key)]
    if contents.open_generations(table_id) and not isinstance(commit, ChunkCommit):
        # What a repair did not find says nothing of what came since, which another chunk may have read.
        table.tombstones |= dict.fromkeys(deleted, sequence)
    gone = table.remove(deleted, sequence)
    position = commit.place(table_id) if isinstance(commit, StreamCommit) else None
    contents.deletions += [Deletion(table_id, key, now(), position, table.strategy) for key in gone]
    told = _told_already(contents, part)
    basis = commit.basis if isinstance(commit, ChunkCommit) else sequence
    rejected = _keep_letters(contents, part, sequence, basis, run_id, {*written, *deleted}, is_newer)
    is_unchanged = isinstance(commit, BatchCommit) and not written and not part.changes
    for entry in _new_errors(part, told, only_losses=is_unchanged):
        contents.log_error(entry, run_id)
    for its in part.discards:
        contents.discards[table_id, its.column, its.action] += its.count
    return TableReceipt(sequence, len(written), len(gone), rejected, part.byte_count)


def register(contents: Contents, part: ConformedTable, run_id: str) -> StoredTable:
    """Give a table the schema that its part was conformed to.

    Raises:
        SchemaMoved: it has another version than the one that the part is based on.
    """
    table_id = part.schema.table
    table = contents.table(table_id)
    if table.version != part.based_on:
        raise SchemaMoved(
            "Another writer changed the table's schema", table=table_id, based_on=part.based_on, found=table.version
        )
    if part.changes:
        for entry in apply_changes(table, part.changes):
            contents.log_error(entry, run_id)
        table.versions.append(SchemaVersion(part.schema, part.changes, now(), run_id))
        table.state = replace(table.state, schema_version=part.schema.version)
    return table


def _newer_than(contents: Contents, table: StoredTable, commit: Commit) -> Callable[[str], bool]:
    """Whether a key was written, deleted or quarantined whole after the chunk noted its basis.

    The stream's word is the last.
    """
    if not isinstance(commit, ChunkCommit):
        return lambda key: False
    basis = commit.basis
    changed = {key for key, row in table.rows.items() if row.sequence > basis}
    changed |= {key for key, sequence in table.tombstones.items() if sequence > basis}
    changed |= {
        kept.letter.key_text
        for kept in contents.letters
        if kept.letter.table == commit.table
        and kept.letter.key_text is not None
        and kept.letter.column is None
        and kept.status == PENDING
        and (kept.sequence if kept.basis is None else kept.basis) > basis
    }
    return lambda key: key in changed


def _put_rows(
    table: StoredTable, part: ConformedTable, sequence: int, is_newer: Callable[[str], bool], *, keep_equal: bool
) -> list[str]:
    names = [column.stored for column in part.schema.columns]
    alive = {part.schema.flag: False} if part.schema.flag else {}
    stamp = now()
    written: list[str] = []
    for key, row in zip(part.row_keys().to_pylist(), part.rows.to_pylist(), strict=True):
        if is_newer(key):
            continue
        values = {name: row.get(name) for name in names} | alive
        known = table.rows.get(key)
        if keep_equal and known is not None and is_same(known.values, values):
            continue
        table.rows[key] = StoredRow(values, sequence, stamp)
        written.append(key)
    return written


def is_same(left: dict[str, Any], right: dict[str, Any]) -> bool:
    """Equal to the last bit: NaN is NaN, and -0.0 is not 0.0."""
    return left.keys() == right.keys() and all(repr(value) == repr(right[name]) for name, value in left.items())


def _keep_letters(
    contents: Contents,
    part: ConformedTable,
    sequence: int,
    basis: int,
    run_id: str,
    touched: set[str],
    is_newer: Callable[[str], bool],
) -> int:
    """Supersede what the commit outdates, then keep its own letters; those of outdated chunk rows say so.

    A letter that is pending already stays, as new as this commit.
    """
    table, told = part.schema.table, _told_already(contents, part)
    letters = [letter for letter in part.dead_letters if _loss(letter) not in told]
    rejected = {letter.key_text for letter in part.dead_letters if letter.key_text and not is_newer(letter.key_text)}
    outdated = touched | rejected
    contents.letters = [_kept(kept, table, told, outdated, sequence, basis) for kept in contents.letters]
    statuses = [SUPERSEDED if letter.key_text and is_newer(letter.key_text) else PENDING for letter in letters]
    contents.letters += [
        StoredLetter(letter, sequence, status, now(), None if status == PENDING else now(), basis, run_id)
        for letter, status in zip(letters, statuses, strict=True)
    ]
    return statuses.count(PENDING)


def _kept(
    kept: StoredLetter, table: TableId, told: set[Loss], outdated: set[str], sequence: int, basis: int
) -> StoredLetter:
    if kept.status != PENDING or kept.letter.table != table:
        return kept
    if _loss(kept.letter) in told:
        return replace(kept, sequence=sequence, basis=max(kept.basis or 0, basis))
    is_outdated = kept.letter.key_text in outdated and kept.sequence <= basis
    return replace(kept, status=SUPERSEDED, resolved_at=now()) if is_outdated else kept


def _told_already(contents: Contents, part: ConformedTable) -> set[Loss]:
    """The losses of a part that a pending letter tells of."""
    table = part.schema.table
    pending = {_loss(kept.letter) for kept in contents.letters if kept.status == PENDING and kept.letter.table == table}
    return pending & {_loss(letter) for letter in part.dead_letters}


def _new_errors(part: ConformedTable, told: set[Loss], *, only_losses: bool) -> list[ErrorEntry]:
    """The entries of a part but those of losses told already, and of what was written but once."""
    new = {_place(letter) for letter in part.dead_letters if _loss(letter) not in told}
    old = {_place(letter) for letter in part.dead_letters} - new
    places = [(entry.error_type, entry.column, entry.primary_key) for entry in part.errors]
    return [
        entry
        for entry, place in zip(part.errors, places, strict=True)
        if place not in old and (place in new or not only_losses)
    ]


def _loss(letter: DeadLetter) -> Loss:
    return letter.key_text, letter.column, letter.reason, letter.record


def _place(letter: DeadLetter) -> Loss:
    return letter.reason, letter.column, letter.primary_key


def _move_marker(contents: Contents, commit: Commit) -> int | None:
    match commit:
        case StreamCommit():
            row = contents.streams[commit.schema]
            row = replace(row, position=commit.position, sequence=row.sequence + 1, updated_at=now())
            contents.streams[commit.schema] = row
            _note_aside(contents, commit)
            return row.sequence
        case ChunkCommit():
            _move_slice(contents, commit)
        case BatchCommit() if commit.position is not None:
            table = contents.table(commit.table)
            table.state = replace(table.state, position=commit.position, updated_at=now())
    return None


def _note_aside(contents: Contents, commit: StreamCommit) -> None:
    for its in commit.aside:
        table = contents.table(its.table)
        since = table.state.aside_since or now()
        table.state = replace(
            table.state, aside_position=its.position, aside_reason=its.reason, aside_since=since, updated_at=now()
        )
    for name in commit.rejoined:
        table = contents.table(name)
        table.state = replace(table.state, aside_position=None, aside_reason=None, aside_since=None, updated_at=now())


def _move_slice(contents: Contents, commit: ChunkCommit) -> None:
    generation = contents.generations[commit.table, commit.generation]
    contents.generations[commit.table, commit.generation] = generation.moved(commit)
    contents.read_at[commit.table, commit.generation] = now()
    contents.finished = told_slices(contents.finished, commit, now())


def _mode(commit: Commit) -> str:
    match commit:
        case StreamCommit():
            return "stream"
        case ChunkCommit():
            return "snapshot"
        case BatchCommit():
            return commit.counted_as
        case ReplayCommit():
            return "replay"


def count_rows(contents: Contents, run_id: str, table: TableId, mode: str, receipt: TableReceipt) -> None:
    """Add what a commit did to the run of the table, which the first commit opens."""
    run = contents.runs.get((run_id, table)) or Run(run_id, table, mode, "running", now())
    contents.runs[run_id, table] = replace(
        run,
        status="running",
        finished_at=None,
        error=None,
        rows_written=run.rows_written + receipt.rows_written,
        rows_deleted=run.rows_deleted + receipt.rows_deleted,
        rows_rejected=run.rows_rejected + receipt.rows_rejected,
        byte_count=run.byte_count + receipt.byte_count,
    )
