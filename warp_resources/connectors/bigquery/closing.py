"""Ends a reading that is complete, and removes the rows that it proved stale, in one transaction."""

from __future__ import annotations

from warp_resources.connectors.abandoned_runs import SNAPSHOT
from warp_resources.connectors.bigquery import merge, readings, runs, transitions
from warp_resources.connectors.bigquery.changing import NO_WORK, Work, changed_with
from warp_resources.connectors.bigquery.control import TABLE_ROW, Counts, Draft
from warp_resources.connectors.bigquery.letters import count_letters
from warp_resources.connectors.bigquery.merge import KEY, SEQUENCE, Target, literal
from warp_resources.connectors.bigquery.warehouse import Warehouse
from warp_resources.model.letters import PENDING, SUPERSEDED
from warp_resources.model.positions import GenerationState
from warp_resources.model.tables import TableId

_DELETED, _PENDING, _ASIDE = "deleted0", "pending0", "aside0"


def close_generation(warehouse: Warehouse, table: TableId, generation: str, run_id: str) -> int:
    """End a generation all of whose slices are done; the rows that were removed or flagged."""

    def decide(draft: Draft) -> tuple[bool, Work]:
        state = readings.demand_read(draft, table, generation)
        if state is None:
            # Another process that read the last slices beside this one was first.
            return False, NO_WORK
        work = _removal(warehouse, draft, state, run_id) if state.is_whole else NO_WORK
        readings.close(draft, state)
        return True, _with_tombstones_gone(warehouse, draft, table, work)

    _, counted = changed_with(warehouse, table.schema, decide, kind="close")
    return counted.get(_DELETED, 0)


def _removal(warehouse: Warehouse, draft: Draft, state: GenerationState, run_id: str) -> Work:
    table, row = state.table, draft.table(state.table)
    if row.schema is None:
        return NO_WORK
    sequence = transitions.next_sequence(draft, table)
    target = _target(warehouse, draft, table, sequence)
    mine = f"schema_name = {literal(table.schema)} and table_name = {literal(table.name)}"
    # A key that was read but could not be written is not stale.
    seen = (
        f"select key_text from {target.letters} where {mine} and column_name is null and key_text is not null"
        f" and sequence > {state.first_sequence}"
    )
    keys = f"T.{SEQUENCE} <= {state.first_sequence} and T.{KEY} not in ({seen})"
    statements = merge.log_deletions(target, keys, "null", "snapshot") + f"set {_DELETED} = @@row_count;\n"
    statements += merge.remove_rows(target, keys)
    # What the reading did not tell of anew: the key is gone, or its row was written.
    statements += f"""update {target.letters} set status = '{SUPERSEDED}', resolved_at = current_timestamp()
where {mine} and status = '{PENDING}' and sequence <= {state.first_sequence} and key_text is not null;
"""
    statements += count_letters(target.letters, table, _PENDING, _ASIDE)
    run = runs.count_rows(draft, run_id, table, SNAPSHOT, 0, 0, None)
    counts = {
        (TABLE_ROW, table.name, ""): Counts(deleted=_DELETED, pending=_PENDING, aside=_ASIDE),
        run: Counts(deleted=_DELETED),
    }
    return Work(statements, (), (_DELETED, _PENDING, _ASIDE), counts)


def _with_tombstones_gone(warehouse: Warehouse, draft: Draft, table: TableId, work: Work) -> Work:
    """The tombstones go with the last open generation of their table."""
    if draft.table(table).readings:
        return work
    statement = buried(warehouse, table)
    return Work(work.statements + statement, work.parameters, work.variables, work.counts)


def buried(warehouse: Warehouse, table: TableId) -> str:
    """Forget the tombstones of a table."""
    return (
        f"delete from {warehouse.own('tombstones', table.schema)}"
        f" where schema_name = {literal(table.schema)} and table_name = {literal(table.name)};\n"
    )


def _target(warehouse: Warehouse, draft: Draft, table: TableId, sequence: int) -> Target:
    schema = draft.table(table).schema
    assert schema is not None
    return Target(
        number=0,
        schema=schema,
        table=warehouse.table(schema),
        staging="",
        tombstones=warehouse.own("tombstones", table.schema),
        letters=warehouse.own("dead_letters", table.schema),
        deletions=warehouse.log("deletion_log"),
        sequence=sequence,
    )
