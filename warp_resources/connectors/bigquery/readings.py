"""Opens, moves and closes readings of whole tables in a draft of the control rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

from warp_resources.connectors.bigquery.control import Claim, Draft, Reading, TableRow
from warp_resources.connectors.openings import told_slices, with_slices
from warp_resources.errors import FencedOut, GenerationClosed, OperatorError
from warp_resources.model.batches import ErrorEntry
from warp_resources.model.positions import (
    ChunkCommit,
    GenerationState,
    KeyRange,
    Position,
    SliceState,
    slice_lease,
)
from warp_resources.model.tables import TableId


def open_generation(
    draft: Draft,
    table: TableId,
    generation: str,
    names: Sequence[str] | None,
    ceiling: Position | None = None,
    *,
    removes_stale: bool = True,
) -> GenerationState:
    """Open a reading over the plan, or take up the open one, with the named slices added to it."""
    row = draft.table(table)
    known = row.readings.get(generation)
    if known is not None and names is None:
        return known.state
    fresh = GenerationState(table, generation, row.state.sequence, False, (), ceiling, draft.at)
    state = with_slices(known.state if known else fresh, row.plan, names, removes_stale=removes_stale)
    _put(draft, row, state)
    return state


def open_whole(draft: Draft, table: TableId, generation: str) -> None:
    """Open a reading of all keys; a table that nobody has planned yet is one slice."""
    row = draft.table(table)
    draft.put(replace(row, plan=row.plan or (KeyRange(),)))
    open_generation(draft, table, generation, None)


def open_generations(draft: Draft) -> list[GenerationState]:
    """The open readings of the schema, oldest first."""
    found = [reading.state for row in draft.tables.values() for reading in row.readings.values()]
    return sorted(found, key=lambda state: (state.opened_at or draft.at, state.table))


def seize_slice(draft: Draft, table: TableId, generation: str, name: str) -> tuple[int, SliceState]:
    """Raise the epoch of a slice's claim; the new one, and how far the slice has come."""
    row = draft.table(table)
    reading = row.readings.get(generation)
    if reading is None:
        raise GenerationClosed("The generation is not open", remedy="Start a new resync of the table", table=table)
    part = next((part for part in reading.state.slices if part.name == name), None)
    if part is None:
        raise OperatorError(
            "The generation does not read this slice", remedy="Open it with this slice", table=table, slice=name
        )
    epoch = row.claims.get(name, Claim()).epoch + 1
    draft.put(replace(row, claims={**row.claims, name: Claim(epoch, generation)}))
    return epoch, part


def demand_claim(draft: Draft, commit: ChunkCommit) -> None:
    """Raise ``FencedOut`` unless a slice is still in the hands of the commit's reader."""
    row = draft.tables.get(commit.table.name)
    claim = row.claims.get(commit.slice) if row is not None else None
    if row is None or commit.generation not in row.readings or claim != Claim(commit.epoch, commit.generation):
        raise FencedOut(
            "Another reader has taken over this slice, or its generation has ended; nothing was committed",
            remedy="Let that process go on",
            table=commit.table,
            generation=commit.generation,
            slice=commit.slice,
            epoch=commit.epoch,
        )


def move_slice(draft: Draft, commit: ChunkCommit) -> None:
    """Take a slice to where a chunk ends."""
    row = draft.table(commit.table)
    row = replace(row, finished=told_slices(row.finished, commit, draft.at))
    _put(draft, row, row.readings[commit.generation].state.moved(commit))


def demand_read(draft: Draft, table: TableId, generation: str) -> GenerationState | None:
    """A generation that is read to its end; None where it has ended already."""
    row = draft.tables.get(table.name)
    reading = row.readings.get(generation) if row is not None else None
    if reading is None:
        return None
    if not reading.state.is_read:
        raise OperatorError(
            "Not every slice of the generation is read yet",
            remedy="Read the other slices first",
            table=table,
            generation=generation,
        )
    return reading.state


def close(draft: Draft, state: GenerationState) -> None:
    """End a reading that is complete; a whole one leaves its table loaded."""
    row = draft.table(state.table)
    if state.is_whole:
        position = state.high or row.state.position
        its = replace(row.state, is_loaded=True, position=position, updated_at=draft.at)
        row = draft.put(replace(row, state=its))
    _end(draft, row, state.generation)


def abandon(draft: Draft, table: TableId, generation: str, reason: str) -> bool:
    """End a reading without removing anything, and say so in ``error_log``; whether it was open."""
    row = draft.tables.get(table.name)
    if row is None or generation not in row.readings:
        return False
    _end(draft, row, generation)
    message = f"The generation {generation} was abandoned: {reason}"
    draft.log_error(ErrorEntry(table, "generation_abandoned", message, "rows that no chunk has seen are kept"), "")
    return True


def abandon_all(draft: Draft, table: TableId, reason: str) -> None:
    """End every open reading of a table."""
    for generation in list(draft.table(table).readings):
        abandon(draft, table, generation, reason)


def abandon_idle(draft: Draft, idle: timedelta, is_held: Callable[[str], bool]) -> int:
    """End the readings that nobody has gone on with for a time; how many."""
    meant = [
        reading.state
        for row in draft.tables.values()
        for reading in row.readings.values()
        if reading.read_at < draft.at - idle
        and not any(is_held(slice_lease(reading.state.table, part.name)) for part in reading.state.slices)
    ]
    for state in meant:
        abandon(draft, state.table, state.generation, f"nothing of it was read for {idle}")
    return len(meant)


def _put(draft: Draft, row: TableRow, state: GenerationState) -> None:
    draft.put(replace(row, readings={**row.readings, state.generation: Reading(state, draft.at)}))


def _end(draft: Draft, row: TableRow, generation: str) -> None:
    readings = {name: reading for name, reading in row.readings.items() if name != generation}
    # Another reading may come by that name; whoever still reads for this one is none of its readers.
    claims = {
        name: replace(claim, generation=None) if claim.generation == generation else claim
        for name, claim in row.claims.items()
    }
    draft.put(replace(row, readings=readings, claims=claims))
