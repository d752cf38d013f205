"""Says from where a stream is complete for its tables, when it starts and when its list of tables changes."""

from __future__ import annotations

from collections.abc import Sequence

from warp_resources.connectors.postgresql.closing import abandon
from warp_resources.connectors.postgresql.markers import STREAM, lock_tables, move_stream, set_coverage
from warp_resources.connectors.postgresql.markers import start_stream as move_start
from warp_resources.connectors.postgresql.session import Connection
from warp_resources.model.positions import GenerationState, Position, StreamCommit, StreamState
from warp_resources.model.tables import TableId


def start_stream(connection: Connection, schema: str, position: Position, lost: Sequence[TableId]) -> StreamState:
    """Put the stream at a new start; the lost tables are covered from there and have to be read again."""
    state = move_start(connection, schema, position)
    abandon(connection, lost, _any, "the stream had to start anew, so that every slice must be read again")
    lock_tables(connection, lost, STREAM)
    for table in lost:
        set_coverage(connection, table, position)
    return state


def admit(connection: Connection, commit: StreamCommit, tables: Sequence[TableId], dismissed: Sequence[TableId]) -> int:
    """Cover tables from the committed position on, under the stream's fence; its new sequence."""
    sequence = move_stream(connection, commit)
    # What was read before the stream covered the table may have missed changes since.
    abandon(connection, tables, _is_begun, "it began before the stream covered the table")
    abandon(connection, dismissed, _any, "the table left the stream")
    lock_tables(connection, [*tables, *dismissed], STREAM)
    for table in tables:
        set_coverage(connection, table, commit.position)
    for table in dismissed:
        set_coverage(connection, table, None)
    return sequence


def _any(state: GenerationState) -> bool:
    return True


def _is_begun(state: GenerationState) -> bool:
    return any(part.is_done or part.resume is not None for part in state.slices)
