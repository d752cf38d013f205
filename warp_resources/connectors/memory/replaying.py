"""Writes the records of dead letters again, in a draft of the store, and settles the letters."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta

from warp_resources.connectors.memory.store import (
    PENDING,
    Contents,
    Deletion,
    StoredLetter,
    StoredRow,
    StoredTable,
    now,
)
from warp_resources.connectors.memory.write import count_rows, register
from warp_resources.evolution.replays import Pending, Settlement, settle, writable_keys
from warp_resources.model.batches import ConformedBatch, ConformedTable, TableReceipt, WriteReceipt
from warp_resources.model.letters import REPLAYED, SUPERSEDED
from warp_resources.model.positions import ReplayCommit

_LONGEST_WAIT = timedelta(minutes=5)
_FIRST_WAIT = timedelta(seconds=5)


def write_replay(contents: Contents, batch: ConformedBatch, commit: ReplayCommit) -> WriteReceipt:
    """Apply what the records gave, if anything, where no later write or delete stands against it.

    Raises:
        SchemaMoved: the table has another version than the one that its part is based on.
    """
    pending = _pending(contents, commit)
    if not batch.tables:
        verdict = settle(commit, pending, (), (), (), ())
        _record(contents, verdict, batch.run_id)
        return WriteReceipt(letters=verdict.outcome)
    [part] = batch.tables
    table = register(contents, part, batch.run_id)
    table.next_sequence()
    row_keys = part.row_keys().to_pylist()
    delete_keys = [] if part.deletes is None else part.delete_keys().to_pylist()
    overtaken = {
        key
        for key in (*row_keys, *delete_keys)
        if key in commit.keys and key in table.rows and table.rows[key].sequence > commit.keys[key].sequence
    }
    meant = writable_keys(commit, pending) - overtaken
    written = _put(table, part, row_keys, meant, commit)
    gone = _remove(contents, part, table, [key for key in delete_keys if key in meant], commit)
    present = {*row_keys, *delete_keys, *(letter.key_text for letter in part.dead_letters)}
    verdict = settle(commit, pending, overtaken, present, part.dead_letters, part.errors)
    _record(contents, verdict, batch.run_id)
    receipt = TableReceipt(table.state.sequence, written, gone, len(verdict.new), part.byte_count)
    before = contents.runs.get((batch.run_id, commit.table))
    count_rows(contents, batch.run_id, commit.table, "replay", receipt)
    counted = contents.runs[batch.run_id, commit.table]
    status, finished_at = (before.status, before.finished_at) if before else ("success", now())
    contents.runs[batch.run_id, commit.table] = replace(counted, status=status, finished_at=finished_at)
    return WriteReceipt({commit.table: receipt}, letters=verdict.outcome)


def _pending(contents: Contents, commit: ReplayCommit) -> list[Pending]:
    return [
        Pending(
            kept.number,
            kept.letter.key_text,
            kept.letter.column,
            kept.letter.reason,
            kept.sequence,
            kept.sequence if kept.basis is None else kept.basis,
            hashlib.sha256(f"{kept.letter.encoding} {kept.letter.record}".encode("utf-8", "surrogatepass")).digest(),
        )
        for kept in contents.letters
        if kept.letter.table == commit.table
        and kept.status == PENDING
        and (kept.letter.key_text in commit.keys or kept.number in commit.failed)
    ]


def _put(
    table: StoredTable, part: ConformedTable, keys: list[str], meant: Collection[str], commit: ReplayCommit
) -> int:
    names = [column.stored for column in part.schema.columns]
    alive = {part.schema.flag: False} if part.schema.flag else {}
    written = [(key, row) for key, row in zip(keys, part.rows.to_pylist(), strict=True) if key in meant]
    for key, row in written:
        values = {name: row.get(name) for name in names} | alive
        table.rows[key] = StoredRow(values, commit.keys[key].sequence, now())
    return len(written)


def _remove(contents: Contents, part: ConformedTable, table: StoredTable, keys: list[str], commit: ReplayCommit) -> int:
    gone = [key for key in keys if table.remove([key], commit.keys[key].sequence)]
    if contents.open_generations(commit.table):
        table.tombstones |= {key: max(table.tombstones.get(key, 0), commit.keys[key].sequence) for key in keys}
    contents.deletions += [Deletion(commit.table, key, now(), None, table.strategy) for key in gone]
    return len(gone)


def _record(contents: Contents, verdict: Settlement, run_id: str) -> None:
    replayed, superseded = set(verdict.replayed), set(verdict.superseded)

    def settled(kept: StoredLetter) -> StoredLetter:
        if kept.number in replayed or kept.number in superseded:
            status = REPLAYED if kept.number in replayed else SUPERSEDED
            attempts = kept.attempts + (kept.number in replayed)
            return replace(kept, status=status, resolved_at=now(), attempts=attempts, retry_at=None, last_error=None)
        if kept.number in verdict.failed:
            wait = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** min(kept.attempts, 10))
            why = verdict.failed[kept.number]
            return replace(kept, attempts=kept.attempts + 1, last_error=why, retry_at=now() + wait)
        return kept

    contents.letters = [settled(kept) for kept in contents.letters]
    contents.letters += [
        StoredLetter(new.letter, new.sequence, PENDING, now(), basis=new.basis, run_id=run_id) for new in verdict.new
    ]
    for entry in verdict.errors:
        contents.log_error(entry, run_id)
