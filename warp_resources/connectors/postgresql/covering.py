"""Says which writer a table belongs to: its schema's stream, from a position on, or a batch writer."""

from __future__ import annotations

from collections.abc import Sequence

from warp_resources.connectors.postgresql import markers
from warp_resources.connectors.postgresql.closing import abandon
from warp_resources.connectors.postgresql.letters import add_errors
from warp_resources.connectors.postgresql.markers import STREAM, lock_tables, move_stream, set_coverage
from warp_resources.connectors.postgresql.opening import open_whole_reading
from warp_resources.connectors.postgresql.session import Connection
from warp_resources.model.batches import ErrorEntry
from warp_resources.model.positions import GenerationState, Position, StreamCommit, StreamState, TableState
from warp_resources.model.tables import TableId


def start_stream(
    connection: Connection,
    schema: str,
    position: Position,
    lost: Sequence[TableId],
    generation: str,
    errors: Sequence[ErrorEntry],
    run_id: str,
    fence: StreamCommit | None,
) -> StreamState:
    """Put the stream at a new start; the lost tables are covered from there and are being read again."""
    state = markers.start_stream(connection, schema, position, fence)
    reason = "the stream had to start anew, so that every slice must be read again"
    abandon(connection, lost, _any, reason)
    lock_tables(connection, lost, STREAM)
    # Also what was opened while the locks were waited for: its chunks may have read nothing later than the old place.
    abandon(connection, lost, _any, reason)
    for table in lost:
        set_coverage(connection, table, position)
        if generation:
            open_whole_reading(connection, table, generation)
    add_errors(connection, errors, run_id)
    return state


def admit(
    connection: Connection,
    commit: StreamCommit,
    tables: Sequence[TableId],
    dismissed: Sequence[TableId],
    generation: str,
) -> int:
    """Cover tables from the committed position on, under the stream's fence, and open readings; its new sequence."""
    sequence = move_stream(connection, commit)
    # What was read before the stream covered the table, or is being read now, may have missed changes since.
    abandon(connection, tables, _any, "it began before the stream covered the table")
    abandon(connection, dismissed, _any, "the table left the stream")
    lock_tables(connection, [*tables, *dismissed], STREAM)
    for table in tables:
        set_coverage(connection, table, commit.position)
        if generation:
            open_whole_reading(connection, table, generation)
    for table in dismissed:
        set_coverage(connection, table, None)
    return sequence


def seize_table(connection: Connection, table: TableId, mode: str) -> TableState:
    """Raise the epoch of a table's row; one that leaves its stream has to be read again."""
    known = _mode(markers.table_states(connection, table.schema), table)
    if known not in (None, mode):
        abandon(connection, [table], _any, f"the table is of mode {mode} now")
    return markers.seize_table(connection, table, mode)


def _mode(states: dict[str, TableState], table: TableId) -> str | None:
    state = states.get(table.name)
    return None if state is None else state.mode


def _any(state: GenerationState) -> bool:
    return True
