"""Writes a commit of which rows were refused: all rows that can be written, the others as dead letters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import psycopg
from psycopg import sql

from warp_resources.connectors.postgresql.constraints import (
    Constraints,
    Place,
    parents_first,
    places_being_read,
    read_constraints,
)
from warp_resources.connectors.postgresql.merge import SEQUENCE, SYNCED_AT, bury_keys, needs_merge
from warp_resources.connectors.postgresql.refusals import Refusal, refusal_of, with_refusals
from warp_resources.connectors.postgresql.session import Connection
from warp_resources.connectors.postgresql.staged import Staged
from warp_resources.connectors.postgresql.table_commit import (
    Done,
    LockedTable,
    TablePart,
    begin_part,
    delete_staged,
    finish_part,
    leaves_tombstones,
    merge_staged,
    outdated_keys,
    rule_of,
)
from warp_resources.connectors.postgresql.table_failures import concerning
from warp_resources.connectors.postgresql.trial import Trial
from warp_resources.connectors.postgresql.trying import Work, make_work
from warp_resources.connectors.rejections import Judgement, Rejections, most_refused
from warp_resources.errors import TableFailure
from warp_resources.model.batches import ConformedTable, TableReceipt
from warp_resources.model.positions import Commit
from warp_resources.model.tables import TableId


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a careful commit did to a table; ``rows`` came and ``refused`` of them count against its share."""

    receipt: TableReceipt
    rows: int
    refused: int


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One table's part, and the trials of its rows and of its deletes where it has any."""

    part: TablePart
    locked: LockedTable
    outdated: set[str]
    constraints: Constraints
    rows: Trial | None
    deletes: Trial | None

    @property
    def trials(self) -> list[Trial]:
        return [trial for trial in (self.deletes, self.rows) if trial is not None]

    @property
    def is_flooded(self) -> bool:
        return any(trial.is_flooded for trial in self.trials)


def write_carefully(
    connection: Connection,
    parts: Sequence[TablePart],
    locked: Mapping[TableId, LockedTable],
    commit: Commit,
    run_id: str,
    rejections: Rejections,
) -> dict[TableId, Outcome]:
    """Write the parts of a commit, row by row where need be, parents before children and deletes the other way.

    Raises:
        TableFailure: more rows of a table were refused than its rules allow; nothing is to be committed.
    """
    # What is deferred would be told at the commit, of no row in particular.
    connection.execute("set constraints all immediate")
    attempts = {}
    for number, part in enumerate(parts):
        table = part.table.schema.table
        with concerning(connection, table, commit):
            attempts[table] = _prepared(connection, number, part, locked[table], commit, run_id)
    order = parents_first(connection, [part.table.schema for part in parts])
    _settle(connection, [attempts[table] for table in order], commit)
    _write_circles(connection, [attempts[table] for table in order])
    being_read = places_being_read(connection, order[0].schema) if order else set()
    # Where one gave up, the others are not at their end.
    finishing = sorted(attempts.items(), key=lambda pair: not pair[1].is_flooded)
    return {
        table: _finished(connection, attempt, commit, run_id, rejections, being_read) for table, attempt in finishing
    }


def _prepared(
    connection: Connection, number: int, part: TablePart, locked: LockedTable, commit: Commit, run_id: str
) -> _Attempt:
    table = part.table
    begin_part(connection, table, locked, run_id)
    outdated = outdated_keys(connection, table, part.rows, locked, commit)
    constraints = Constraints()
    rows: Trial | None = None
    deletes: Trial | None = None
    most = most_refused(row_count(table), table.rules.rejected_share)
    if part.rows is not None:
        schema = table.schema
        own = [*(column.stored for column in schema.columns), SEQUENCE, SYNCED_AT, *filter(None, [schema.flag])]
        constraints = read_constraints(connection, schema, own)
        work = Work(2 * number, part.rows)
        rule, basis = rule_of(commit)
        _make(connection, work, needs_merge(part.rows.target, rule, basis=basis))

        def merge(staged: Staged) -> int:
            return merge_staged(connection, staged, locked, commit)

        rows = Trial(connection, work, merge, most, constraints)
    if part.deletes is not None and not table.schema.version:
        delete_staged(connection, part, locked, commit)
    elif part.deletes is not None:
        target = part.deletes.target
        if leaves_tombstones(locked, commit):
            # Also of a key whose delete is going to be refused.
            connection.execute(bury_keys(target.schema, target.staging, part.deletes.extra, sequence=locked.sequence))
        work = Work(2 * number + 1, part.deletes)
        _make(connection, work, sql.SQL("true"))

        def delete(staged: Staged) -> int:
            return delete_staged(connection, replace(part, deletes=staged), locked, commit)

        deletes = Trial(connection, work, delete, most)
    return _Attempt(part, locked, outdated, constraints, rows, deletes)


def _make(connection: Connection, work: Work, condition: sql.Composable) -> None:
    for statement in make_work(work, condition):
        connection.execute(statement)


def _settle(connection: Connection, attempts: Sequence[_Attempt], commit: Commit) -> None:
    """Round after round until none helps any more; deletes go first, since they make room for unique values."""
    turns = [(attempt, attempt.deletes) for attempt in reversed(attempts)]
    turns += [(attempt, attempt.rows) for attempt in attempts]
    trials = [(attempt.part.table.schema.table, trial) for attempt, trial in turns if trial is not None]
    while True:
        settled = 0
        for table, trial in trials:
            with concerning(connection, table, commit):
                settled += trial.run()
            if trial.is_flooded:
                return
        waiting = [trial for _, trial in trials if trial.waiting]
        if not settled and not sum(trial.run_by_cause() for trial in waiting):
            return


def _write_circles(connection: Connection, attempts: Sequence[_Attempt]) -> None:
    """Rows that wait for each other can be written together where their constraints are deferrable."""
    waiting = [trial for attempt in attempts for trial in attempt.trials if trial.waiting]
    if len(waiting) < 2:
        return
    try:
        with connection.transaction():
            connection.execute("set constraints all deferred")
            for trial in waiting:
                trial.write_waiting()
            connection.execute("set constraints all immediate")
    except psycopg.Error as error:
        if refusal_of(error) is None:
            raise
        return
    for trial in waiting:
        trial.waiting.clear()


def _finished(
    connection: Connection,
    attempt: _Attempt,
    commit: Commit,
    run_id: str,
    rejections: Rejections,
    being_read: set[Place],
) -> Outcome:
    table = attempt.part.table
    rows = attempt.rows.extras() if attempt.rows else []
    deletes = attempt.deletes.extras() if attempt.deletes else []
    awaited = {key.name for key in attempt.constraints.foreign_keys if key.parent in being_read}
    counted = [refusal for _, refusal in (*rows, *deletes) if refusal.where not in awaited]
    count = row_count(table)
    judgement = rejections.judge(table.schema.table, count, len(counted), table.rules.rejected_share)
    if judgement.is_systemic or attempt.is_flooded:
        raise _failure(table, counted or [refusal for _, refusal in (*rows, *deletes)], judgement)
    done = Done(
        attempt.rows.written if attempt.rows else 0,
        attempt.deletes.written if attempt.deletes else 0,
        attempt.outdated,
    )
    told = with_refusals(table, [(int(str(row)), its) for row, its in rows], [(str(key), its) for key, its in deletes])
    return Outcome(finish_part(connection, told, attempt.locked, commit, run_id, done), count, len(counted))


def row_count(table: ConformedTable) -> int:
    """How many rows and deletes a part brings."""
    return int(table.rows.num_rows) + (table.deletes.num_rows if table.deletes is not None else 0)


def _failure(table: ConformedTable, refusals: Sequence[Refusal], judgement: Judgement) -> TableFailure:
    """Names the cause of most refusals; the count is of those found until it was too many."""
    cause = max(set(refusals), key=lambda refusal: (refusals.count(refusal), str(refusal)))
    share = table.rules.rejected_share
    mend = f"Drop or mend {cause.where or 'what refuses them'}, correct the rows at the source"
    allow = "raise error_handling.max_rejected_share"
    if not share:
        allow = "set error_handling.dead_letter_queue: true and max_rejected_share above 0"
    return TableFailure(
        f"The destination's own rules refuse too many rows of the table ({cause.reason})",
        remedy=f"{mend}, or {allow}",
        table=table.schema.table,
        constraint=cause.where or cause.reason,
        refused=judgement.refused,
        rows=judgement.rows,
        max_rejected_share=share,
    )
