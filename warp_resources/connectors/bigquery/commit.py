"""Writes one conformed batch: schema changes, then one load job, then one transaction with everything else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from google.cloud.bigquery import ScalarQueryParameter

from warp_resources.connectors.abandoned_runs import SNAPSHOT
from warp_resources.connectors.bigquery import letters, merge, runs, transitions
from warp_resources.connectors.bigquery.blame import altering, blaming
from warp_resources.connectors.bigquery.changing import Work, changed_with
from warp_resources.connectors.bigquery.control import TABLE_ROW, Counts, Draft, Intent
from warp_resources.connectors.bigquery.evolve import demand_version, evolve, finish
from warp_resources.connectors.bigquery.layout import Layout
from warp_resources.connectors.bigquery.letters import Verdict
from warp_resources.connectors.bigquery.session import Parameter, quoted
from warp_resources.connectors.bigquery.staging import (
    Place,
    Section,
    Staging,
    delete_section,
    drop,
    places_of,
    row_section,
    stage,
)
from warp_resources.connectors.bigquery.warehouse import Warehouse
from warp_resources.errors import SchemaMoved
from warp_resources.failpoints import failpoint
from warp_resources.model.batches import ConformedBatch, ConformedTable, TableReceipt, WriteReceipt
from warp_resources.model.positions import BatchCommit, ChunkCommit, Commit, Position, StreamCommit
from warp_resources.model.tables import TableId, TableSchema

SOURCE = "source"
_MOST_BYTES, _COLUMN_BYTES, _MENTIONS = 600_000, 120, 8
"""Of a script, which may have a million: each column is mentioned so often, with so much around it."""


@dataclass(frozen=True, slots=True)
class Part:
    """A table's part of a commit, with its number and where its columns are staged."""

    number: int
    table: ConformedTable
    places: Sequence[Place]

    @property
    def deletes(self) -> int:
        return 0 if self.table.deletes is None else self.table.deletes.num_rows

    def variable(self, name: str) -> str:
        return f"{name}{self.number}"


def write_batch(warehouse: Warehouse, layout: Layout, batch: ConformedBatch) -> WriteReceipt:
    """Commit all of a batch, or nothing but the schema changes that it needs.

    More tables than one transaction takes are written in several, the last of which moves the marker. After a crash
    between two, the same rows come again, from the same position.

    Raises:
        FencedOut: another writer has taken over.
        TableFailure: BigQuery refuses what one table needs.
        SchemaMoved: a table has another version than the one that its part is based on.
    """
    for table in sorted(batch.tables, key=lambda its: its.schema.table):
        if table.changes:
            with altering(table.schema.table):
                evolve(warehouse, layout, table, batch.commit, batch.run_id)
    ordered = sorted(batch.tables, key=lambda its: its.schema.table)
    parts = [
        Part(number, table, places_of(table.schema, table.rows.schema.names)) for number, table in enumerate(ordered)
    ]
    *first, last = grouped(parts, warehouse.most_tables)
    tables: dict[TableId, TableReceipt] = {}
    for group in first:
        tables |= _write(warehouse, layout, _Writing(warehouse, replace(batch, errors=()), group, is_last=False)).tables
        failpoint("commit.part")
    receipt = _write(warehouse, layout, _Writing(warehouse, batch, last, is_last=True))
    failpoint("commit.done")
    return replace(receipt, tables=tables | receipt.tables)


def grouped(parts: Sequence[Part], most_tables: int) -> list[list[Part]]:
    """The parts in groups that a transaction and the text of its script have room for; one group at the least."""
    groups: list[list[Part]] = [[]]
    size = 0
    for part in parts:
        its = sum(_COLUMN_BYTES + _MENTIONS * len(quoted(column.stored)) for column in part.table.schema.columns)
        if groups[-1] and (len(groups[-1]) == most_tables or size + its > _MOST_BYTES):
            groups.append([])
            size = 0
        groups[-1].append(part)
        size += its
    return groups


def _write(warehouse: Warehouse, layout: Layout, writing: _Writing) -> WriteReceipt:
    """Commit one group of parts; what they did to each table."""
    try:
        receipt, counted = blaming(
            warehouse,
            lambda: changed_with(warehouse, writing.schema, writing.decide, kind="commit"),
            writing.wanted,
        )
    except _Unfinished as unfinished:
        with altering(unfinished.intent.after.table):
            finish(warehouse, layout, unfinished.intent)
        raise SchemaMoved("A schema change had to be finished first", table=unfinished.intent.after.table) from None
    finally:
        writing.close()
    return replace(receipt, tables={its.table.schema.table: _counted(receipt, its, counted) for its in writing.parts})


def schema_of(commit: Commit) -> str:
    """The schema whose control rows a commit moves."""
    return commit.schema if isinstance(commit, StreamCommit) else commit.table.schema


def mode_of(commit: Commit) -> str:
    """What a commit counts as in ``sync_runs``."""
    match commit:
        case StreamCommit():
            return "stream"
        case ChunkCommit():
            return SNAPSHOT
        case BatchCommit():
            return commit.counted_as
    return "replay"


class _Unfinished(Exception):
    """A table has a schema change that nobody is carrying out any more."""

    def __init__(self, intent: Intent) -> None:
        self.intent = intent
        super().__init__(str(intent.after.table))


class _Writing:
    """One batch on its way: staged once, decided as often as others are faster."""

    def __init__(self, warehouse: Warehouse, batch: ConformedBatch, parts: Sequence[Part], *, is_last: bool) -> None:
        self._warehouse = warehouse
        self._batch = batch
        self.parts = parts
        self._is_last = is_last
        self.schema = schema_of(batch.commit)
        self._staging: Staging | None = None
        self._verdicts: list[Verdict] | None = None
        self._works: list[Work] = []

    def decide(self, draft: Draft) -> tuple[WriteReceipt, Work]:
        """What to commit on top of the control rows as they are."""
        batch, commit = self._batch, self._batch.commit
        transitions.demand_fence(draft, commit)
        for part in self.parts:
            row = draft.table(part.table.schema.table, _table_mode(commit))
            if row.intent is not None:
                raise _Unfinished(row.intent)
            # What a part changes is made by now.
            made = part.table.schema.version if part.table.changes else part.table.based_on
            demand_version(row, replace(part.table, based_on=made))
        targets = [self._target(draft, part) for part in self.parts]
        verdicts = self._judge(targets)
        works = [
            self._work(draft, part, target, verdict)
            for part, target, verdict in zip(self.parts, targets, verdicts, strict=True)
        ]
        self._works = works
        for entry in batch.errors:
            draft.log_error(entry, batch.run_id)
        receipts = {
            part.table.schema.table: TableReceipt(
                target.sequence, rows_rejected=verdict.rejected, byte_count=part.table.byte_count
            )
            for part, target, verdict in zip(self.parts, targets, verdicts, strict=True)
        }
        sequence = transitions.move_marker(draft, commit) if self._is_last else None
        return WriteReceipt(receipts, sequence), _joined(works)

    def wanted(self) -> list[tuple[TableSchema, Work]]:
        """What the last decision wanted of each table; nothing where none was made."""
        return [(part.table.schema, work) for part, work in zip(self.parts, self._works, strict=False)]

    def close(self) -> None:
        drop(self._warehouse.session, self._staging)

    def _target(self, draft: Draft, part: Part) -> merge.Target:
        table, commit, its = part.table.schema.table, self._batch.commit, self._warehouse
        row = draft.table(table)
        sequence = transitions.next_sequence(draft, table)
        return merge.Target(
            number=part.number,
            schema=part.table.schema,
            table=its.table(part.table.schema),
            staging="",
            tombstones=its.own("tombstones", table.schema),
            letters=its.own("dead_letters", table.schema),
            deletions=its.log("deletion_log"),
            sequence=sequence,
            basis=commit.basis if isinstance(commit, ChunkCommit) else None,
            is_read=bool(row.readings),
            has_letters=row.pending > 0,
        )

    def _judge(self, targets: list[merge.Target]) -> list[Verdict]:
        """Find out what becomes of the letters, and stage everything, unless that is done already."""
        session = self._warehouse.session
        verdicts = [
            letters.judge(session, target, part.table) for target, part in zip(targets, self.parts, strict=True)
        ]
        if verdicts != self._verdicts:
            sections = [
                section
                for part, verdict in zip(self.parts, verdicts, strict=True)
                for section in _sections(part, verdict)
            ]
            drop(session, self._staging)
            self._staging, self._verdicts = stage(session, self._warehouse.staging, sections), verdicts
            failpoint("commit.staged")
        name = self._staging.name if self._staging is not None else ""
        targets[:] = [replace(target, staging=name) for target in targets]
        return verdicts

    def _work(self, draft: Draft, part: Part, target: merge.Target, verdict: Verdict) -> Work:
        """The statements of one part, and what they count."""
        commit, table = self._batch.commit, part.table.schema.table
        position = part.variable("position")
        parameters: list[Parameter] = [ScalarQueryParameter(position, "STRING", _json(_position(commit, table)))]
        at = f"parse_json(@{position})"
        written, deleted = part.variable("written"), part.variable("deleted")
        statements = _delete(part, target, commit, at, deleted) + _merge(part, target, commit, written)
        pending = aside = ""
        if target.has_letters or verdict.statuses:
            numbers = draft.numbers(len(verdict.statuses))
            kept, more = letters.keep_letters(
                target,
                verdict,
                first_number=numbers.start,
                run_id=self._batch.run_id,
                position=at,
                touched=bool(part.table.rows.num_rows or part.deletes),
            )
            pending, aside = part.variable("pending"), part.variable("aside")
            statements += kept + letters.count_letters(target.letters, table, pending, aside)
            parameters += more
        statements += self._log(draft, part, target, verdict, written)
        self._count_discards(draft, part.table)
        end = _position(commit, table) if not isinstance(commit, ChunkCommit) else None
        run = runs.count_rows(
            draft, self._batch.run_id, table, mode_of(commit), verdict.rejected, part.table.byte_count, end
        )
        row = (TABLE_ROW, table.name, "")
        variables = tuple(name for name in (written, deleted, pending, aside) if name)
        counts = {row: Counts(written, deleted, pending, aside), run: Counts(written, deleted)}
        return Work(statements, tuple(parameters), variables, counts)

    def _log(self, draft: Draft, part: Part, target: merge.Target, verdict: Verdict, written: str) -> str:
        if not verdict.entries:
            return ""
        is_batch = isinstance(self._batch.commit, BatchCommit) and not part.table.changes
        for entry, is_new in verdict.entries:
            if is_new or not is_batch:
                draft.count_error(entry)
        return letters.log_errors(
            target,
            self._warehouse.log("error_log"),
            first_number=draft.numbers(len(verdict.entries)).start,
            run_id=self._batch.run_id,
            unless_losses_only=f"{written} > 0" if is_batch else "true",
        )

    @staticmethod
    def _count_discards(draft: Draft, part: ConformedTable) -> None:
        its = draft.figures(part.schema.table.name)
        counts = dict(its.discards)
        for discard in part.discards:
            name = f"{discard.action} {discard.column}"
            counts[name] = counts.get(name, 0) + discard.count
        draft.count(part.schema.table.name, replace(its, discards=counts))


def _sections(part: Part, verdict: Verdict) -> list[Section]:
    found = [row_section(part.number, part.table, part.places)] if part.table.rows.num_rows else []
    if part.deletes:
        found.append(delete_section(part.number, part.table))
    if verdict.statuses:
        found.append(letters.letter_section(part.number, part.table, verdict))
    if verdict.entries:
        found.append(letters.error_section(part.number, verdict))
    return found


def _delete(part: Part, target: merge.Target, commit: Commit, position: str, deleted: str) -> str:
    if not part.deletes:
        return ""
    statements = ""
    if target.is_read and not isinstance(commit, ChunkCommit):
        # What a repair did not find says nothing of what came since, which another chunk may have read.
        statements += merge.bury_keys(target)
    keys = merge.deleted_keys(target)
    cause = commit.cause if isinstance(commit, BatchCommit | ChunkCommit) else SOURCE
    statements += merge.log_deletions(target, keys, position, cause)
    return statements + f"set {deleted} = @@row_count;\n" + merge.remove_rows(target, keys)


def _merge(part: Part, target: merge.Target, commit: Commit, written: str) -> str:
    if not part.table.rows.num_rows:
        return ""
    statement = merge.merge_rows(target, part.places, if_different=isinstance(commit, BatchCommit))
    return statement + f"set {written} = @@row_count;\n"


def _joined(works: Sequence[Work]) -> Work:
    return Work(
        "".join(work.statements for work in works),
        tuple(parameter for work in works for parameter in work.parameters),
        tuple(variable for work in works for variable in work.variables),
        {key: counts for work in works for key, counts in work.counts.items()},
    )


def _counted(receipt: WriteReceipt, part: Part, counted: dict[str, int]) -> TableReceipt:
    its = receipt.tables[part.table.schema.table]
    written, deleted = counted.get(part.variable("written"), 0), counted.get(part.variable("deleted"), 0)
    return replace(its, rows_written=written, rows_deleted=deleted)


def _position(commit: Commit, table: TableId) -> Position | None:
    if isinstance(commit, ChunkCommit):
        return {"generation": commit.generation, "slice": commit.slice, "resume": commit.resume}
    if isinstance(commit, StreamCommit):
        return commit.place(table)
    return commit.position if isinstance(commit, BatchCommit) else None


def _json(position: Position | None) -> str | None:
    return None if position is None else json.dumps(position)


def _table_mode(commit: Commit) -> str:
    return "batch" if isinstance(commit, BatchCommit) else "stream"
