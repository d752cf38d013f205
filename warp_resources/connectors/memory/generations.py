"""Opens, moves and closes readings of whole tables in a draft of the store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

from warp_resources.connectors.memory.store import (
    PENDING,
    SUPERSEDED,
    Contents,
    Deletion,
    StoredLetter,
    StoredTable,
    now,
)
from warp_resources.connectors.openings import with_slices
from warp_resources.errors import OperatorError
from warp_resources.model.batches import ErrorEntry
from warp_resources.model.positions import GenerationState, KeyRange, Position, slice_lease
from warp_resources.model.tables import TableId


def open_generation(
    contents: Contents,
    table_id: TableId,
    generation: str,
    names: Sequence[str] | None,
    ceiling: Position | None = None,
    *,
    removes_stale: bool = True,
) -> GenerationState:
    """Open a reading over the plan, or take up the open one, with the named slices added to it."""
    table = contents.table(table_id)
    known = contents.generations.get((table_id, generation))
    if known is not None and names is None:
        return known
    fresh = GenerationState(table_id, generation, table.state.sequence, False, (), ceiling, now())
    state = with_slices(known or fresh, table.plan, names, removes_stale=removes_stale)
    contents.generations[table_id, generation] = state
    contents.read_at[table_id, generation] = now()
    return state


def open_whole(contents: Contents, table_id: TableId, generation: str) -> None:
    """Open a reading of all keys; a table that nobody has planned yet is one slice."""
    table = contents.table(table_id)
    table.plan = table.plan or [KeyRange()]
    open_generation(contents, table_id, generation, None)


def close_generation(contents: Contents, table_id: TableId, generation: str) -> int:
    """End a reading that is complete and remove the rows that it proved stale."""
    table = contents.table(table_id)
    opened = contents.generations.get((table_id, generation))
    if opened is None:
        return 0
    if not opened.is_read:
        raise OperatorError(
            "The generation has slices that are not read", remedy="Read them first", table=table_id, name=generation
        )
    stale = _stale(contents, table, opened) if opened.is_whole else []
    table.remove(stale, table.next_sequence())
    contents.deletions += [Deletion(table_id, key, now(), None, table.strategy) for key in stale]
    if opened.is_whole:
        contents.letters = [_told_anew(kept, opened) for kept in contents.letters]
        table.state = replace(table.state, is_loaded=True, position=opened.high or table.state.position)
    _end(contents, table_id, generation)
    return len(stale)


def abandon(contents: Contents, table_id: TableId, generation: str, reason: str) -> None:
    """End a reading without removing anything, and say so in ``error_log``."""
    if (table_id, generation) not in contents.generations:
        return
    _end(contents, table_id, generation)
    entry = ErrorEntry(table_id, "generation_abandoned", f"Generation {generation} was abandoned: {reason}", "kept")
    contents.log_error(entry, "")


def abandon_all(contents: Contents, table_id: TableId, reason: str) -> None:
    """End every open reading of a table."""
    for opened in contents.open_generations(table_id):
        abandon(contents, table_id, opened.generation, reason)


def abandon_idle(contents: Contents, schema: str, idle: timedelta, is_held: Callable[[str], bool]) -> int:
    """End the readings that nobody has gone on with for a time; how many."""
    latest = now() - idle
    meant = [
        opened
        for key, opened in contents.generations.items()
        if opened.table.schema == schema
        and contents.read_at[key] < latest
        and not any(is_held(slice_lease(opened.table, part.name)) for part in opened.slices)
    ]
    for opened in meant:
        abandon(contents, opened.table, opened.generation, f"nothing of it was read for {idle}")
    return len(meant)


def _stale(contents: Contents, table: StoredTable, opened: GenerationState) -> list[str]:
    seen = {
        kept.letter.key_text
        for kept in contents.letters
        if kept.letter.table == opened.table and kept.letter.column is None and kept.sequence > opened.first_sequence
    }
    return [
        key
        for key, row in table.rows.items()
        if row.sequence <= opened.first_sequence and key not in seen and table.is_live(row)
    ]


def _told_anew(kept: StoredLetter, opened: GenerationState) -> StoredLetter:
    """The letter, superseded if the reading did not tell of it anew: its key is gone, or its row was written."""
    is_old = kept.letter.table == opened.table and kept.sequence <= opened.first_sequence
    if kept.status != PENDING or not is_old or kept.letter.key_text is None:
        return kept
    return replace(kept, status=SUPERSEDED, resolved_at=now())


def _end(contents: Contents, table_id: TableId, generation: str) -> None:
    del contents.generations[table_id, generation]
    del contents.read_at[table_id, generation]
    claims = contents.table(table_id).slice_readings
    # Another reading may come by that name; whoever still reads for this one is none of its readers.
    for name in [name for name, reading in claims.items() if reading == generation]:
        del claims[name]
    if not contents.open_generations(table_id):
        contents.table(table_id).tombstones.clear()
