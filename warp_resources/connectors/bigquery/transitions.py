"""Moves streams and the tables' own rows in a draft of the control rows, under their fences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from warp_resources.connectors.bigquery import readings
from warp_resources.connectors.bigquery.control import STREAM, Draft, TableRow
from warp_resources.connectors.openings import replaces
from warp_resources.errors import FencedOut, OperatorError
from warp_resources.model.batches import ErrorEntry
from warp_resources.model.positions import (
    BatchCommit,
    ChunkBasis,
    ChunkCommit,
    Commit,
    KeyRange,
    Position,
    ReplayCommit,
    StreamCommit,
    StreamState,
    TableState,
)
from warp_resources.model.tables import TableId


def start_stream(
    draft: Draft,
    position: Position,
    lost: Sequence[TableId],
    generation: str,
    errors: Sequence[ErrorEntry],
    run_id: str,
    fence: StreamCommit | None,
) -> StreamState:
    """Put the stream at a new start; see ``Destination.start_stream``."""
    known = draft.own.stream
    if fence is not None and known is not None:
        demand_fence(draft, fence)
    sequence, epoch = (known.sequence + 1, known.epoch + 1) if known else (1, 1)
    state = StreamState(position, sequence, epoch, draft.at)
    draft.own = replace(draft.own, stream=state)
    for table in lost:
        readings.abandon_all(draft, table, "the stream starts anew")
        cover(draft, table, position)
        if generation:
            readings.open_whole(draft, table, generation)
    for entry in errors:
        draft.log_error(entry, run_id)
    return state


def seize_stream(draft: Draft) -> StreamState:
    """Raise the epoch of the stream's row."""
    known = draft.own.stream
    if known is None:
        raise OperatorError("The schema never streamed", remedy="Start its stream first", schema=draft.before.schema)
    state = replace(known, epoch=known.epoch + 1, updated_at=draft.at)
    draft.own = replace(draft.own, stream=state)
    return state


def admit(
    draft: Draft, commit: StreamCommit, tables: Sequence[TableId], dismissed: Sequence[TableId], generation: str
) -> int:
    """Cover tables from the committed position on, uncover others; see ``Destination.admit``."""
    demand_fence(draft, commit)
    for table in tables:
        readings.abandon_all(draft, table, "it began before the stream covered the table")
        cover(draft, table, commit.position)
        if generation:
            readings.open_whole(draft, table, generation)
    for table in dismissed:
        cover(draft, table, None)
        readings.abandon_all(draft, table, "the stream no longer covers the table")
    return advance_stream(draft)


def seize_table(draft: Draft, table: TableId, mode: str) -> TableState:
    """Raise the epoch of a table's row; one of another mode until now has to be read again."""
    row = draft.table(table, mode)
    if row.state.mode != mode:
        readings.abandon_all(draft, table, f"the table is of mode {mode} now")
        row = draft.table(table)
        its = replace(_not_aside(row.state), mode=mode, is_loaded=False, covered_from=None, position=None)
        row = replace(row, state=its)
    return draft.put(replace(row, state=replace(row.state, epoch=row.state.epoch + 1, updated_at=draft.at))).state


def mark_loaded(draft: Draft, table: TableId) -> None:
    """Record that a table needs no first load."""
    row = draft.table(table)
    draft.put(replace(row, state=replace(row.state, is_loaded=True, updated_at=draft.at)))


def save_plan(draft: Draft, table: TableId, ranges: Sequence[KeyRange]) -> list[KeyRange]:
    """Store a plan unless there is one of as many ranges, or that is being read; the one that counts."""
    row = draft.table(table)
    if replaces(row.plan, ranges, is_read=bool(row.readings)):
        row = draft.put(replace(row, plan=tuple(ranges)))
    return list(row.plan)


def chunk_basis(row: TableRow | None, stream: StreamState | None) -> ChunkBasis:
    """A table's sequence and its stream's position, of one instant."""
    if row is None:
        return ChunkBasis(0, stream.position if stream else None)
    if row.state.mode != STREAM:
        return ChunkBasis(row.state.sequence, None)
    return ChunkBasis(row.state.sequence, stream.position if stream else None, row.state.aside_position)


def cover(draft: Draft, table: TableId, position: Position | None) -> None:
    """Say from where the stream is complete for a table, if it is; the table has to be loaded again."""
    row = draft.table(table)
    its = replace(_not_aside(row.state), mode=STREAM, covered_from=position, is_loaded=False, position=None)
    draft.put(replace(row, state=replace(its, updated_at=draft.at)))


def advance_stream(draft: Draft, position: Position | None = None) -> int:
    """Count one more commit of the stream; its new sequence."""
    known = draft.own.stream
    assert known is not None
    state = replace(
        known,
        position=known.position if position is None else position,
        sequence=known.sequence + 1,
        updated_at=draft.at,
    )
    draft.own = replace(draft.own, stream=state)
    return state.sequence


def next_sequence(draft: Draft, table: TableId, mode: str | None = None) -> int:
    """Count one more commit that touches a table; its new sequence."""
    row = draft.table(table)
    its = replace(row.state, sequence=row.state.sequence + 1, mode=mode or row.state.mode, updated_at=draft.at)
    return draft.put(replace(row, state=its)).state.sequence


def demand_fence(draft: Draft, commit: Commit) -> None:
    """Raise ``FencedOut`` unless the rows that a commit builds on are still as its writer left them."""
    match commit:
        case StreamCommit():
            stream = draft.own.stream
            holds = stream is not None and (stream.epoch, stream.sequence) == (commit.epoch, commit.sequence)
            where: object = f"stream of {commit.schema}"
        case ChunkCommit():
            readings.demand_claim(draft, commit)
            return
        case BatchCommit():
            row = draft.tables.get(commit.table.name)
            holds, where = row is not None and row.state.epoch == commit.epoch, commit.table
        case ReplayCommit():
            # Fenced by its letters, each of which must still be pending.
            return
    if not holds:
        raise FencedOut(
            "Another writer has taken over since this batch was built; nothing of it was committed",
            remedy="Let that process go on, or stop it and start this one again",
            writer=where,
            epoch=commit.epoch,
        )


def move_marker(draft: Draft, commit: Commit) -> int | None:
    """Move what a commit moves; the stream's new sequence where it is one of a stream."""
    match commit:
        case StreamCommit():
            _note_aside(draft, commit)
            return advance_stream(draft, commit.position)
        case ChunkCommit():
            readings.move_slice(draft, commit)
        case BatchCommit() if commit.position is not None:
            row = draft.table(commit.table)
            draft.put(replace(row, state=replace(row.state, position=commit.position, updated_at=draft.at)))
    return None


def _note_aside(draft: Draft, commit: StreamCommit) -> None:
    for its in commit.aside:
        row = draft.table(its.table)
        since = row.state.aside_since or draft.at
        state = replace(row.state, aside_position=its.position, aside_reason=its.reason, aside_since=since)
        draft.put(replace(row, state=replace(state, updated_at=draft.at)))
    for table in commit.rejoined:
        row = draft.table(table)
        draft.put(replace(row, state=replace(_not_aside(row.state), updated_at=draft.at)))


def _not_aside(state: TableState) -> TableState:
    return replace(state, aside_position=None, aside_reason=None, aside_since=None)
