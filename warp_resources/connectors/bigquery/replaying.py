"""Writes the records of dead letters again, in one transaction, and settles the letters."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

import pyarrow as pa
import pyarrow.compute as pc
from google.cloud.bigquery import ArrayQueryParameter, ScalarQueryParameter, StructQueryParameter

from warp_resources.connectors.bigquery import merge, runs, transitions
from warp_resources.connectors.bigquery.changing import Work, changed_with
from warp_resources.connectors.bigquery.control import RUN_ROW, TABLE_ROW, Counts, Draft
from warp_resources.connectors.bigquery.evolve import demand_version, evolve
from warp_resources.connectors.bigquery.layout import Layout
from warp_resources.connectors.bigquery.letters import Verdict, count_letters, letter_section
from warp_resources.connectors.bigquery.merge import KEY, SEQUENCE, Target, literal
from warp_resources.connectors.bigquery.portions import portions
from warp_resources.connectors.bigquery.staging import (
    DELETE,
    LETTER,
    Section,
    Staging,
    drop,
    places_of,
    row_section,
    stage,
)
from warp_resources.connectors.bigquery.warehouse import Warehouse
from warp_resources.errors import SchemaMoved
from warp_resources.evolution.replays import Pending, Settlement, settle, writable_keys
from warp_resources.model.batches import ConformedBatch, ConformedTable, TableReceipt, WriteReceipt
from warp_resources.model.letters import PENDING, REPLAYED, SUPERSEDED
from warp_resources.model.positions import ReplayCommit

_FIRST_WAIT, _LONGEST_WAIT = timedelta(seconds=5), timedelta(minutes=5)
_SLOT = "i999"
"""Carries the sequence that each row gets: that of its letters, not of this commit."""


@dataclass(frozen=True, slots=True)
class _Found:
    """The pending letters of the keys, and the sequences of the rows that there are."""

    pending: tuple[Pending, ...]
    sequences: Mapping[str, int]


def write_replay(warehouse: Warehouse, layout: Layout, batch: ConformedBatch, commit: ReplayCommit) -> WriteReceipt:
    """Apply what the records gave, if anything, where no later write or delete stands against it.

    Raises:
        SchemaMoved: the table has another version than the one that its part is based on.
    """
    part = batch.tables[0] if batch.tables else None
    if part is not None and part.changes:
        evolve(warehouse, layout, part, commit, batch.run_id)
    replay = _Replay(warehouse, batch, commit, part)
    try:
        (verdict, receipt), counted = changed_with(warehouse, commit.table.schema, replay.decide, kind="replay")
    finally:
        replay.close()
    if receipt is None:
        return WriteReceipt(letters=verdict.outcome)
    receipt = replace(receipt, rows_written=counted.get("written0", 0), rows_deleted=counted.get("deleted0", 0))
    return WriteReceipt({commit.table: receipt}, letters=verdict.outcome)


class _Replay:
    """One replay on its way: decided as often as others are faster."""

    def __init__(
        self, warehouse: Warehouse, batch: ConformedBatch, commit: ReplayCommit, part: ConformedTable | None
    ) -> None:
        self._warehouse = warehouse
        self._batch = batch
        self._commit = commit
        self._part = part
        self._staging: Staging | None = None

    def close(self) -> None:
        drop(self._warehouse.session, self._staging)

    def decide(self, draft: Draft) -> tuple[tuple[Settlement, TableReceipt | None], Work]:
        """What to commit on top of the control rows as they are."""
        row = draft.table(self._commit.table)
        if row.intent is not None:
            raise SchemaMoved("A schema change of the table is under way", table=self._commit.table)
        if self._part is not None:
            demand_version(row, replace(self._part, based_on=self._part.schema.version))
        found = self._found(draft)
        if self._part is None:
            verdict = settle(self._commit, found.pending, (), (), (), ())
            return (verdict, None), self._settling(draft, verdict, Work())
        return self._writing(draft, self._part, found)

    def _writing(
        self, draft: Draft, part: ConformedTable, found: _Found
    ) -> tuple[tuple[Settlement, TableReceipt | None], Work]:
        commit, table = self._commit, self._commit.table
        sequence = transitions.next_sequence(draft, table)
        row_keys = part.row_keys().to_pylist()
        delete_keys = [] if part.deletes is None else part.delete_keys().to_pylist()
        touched = [*row_keys, *delete_keys]
        overtaken = {
            key for key in touched if key in commit.keys and found.sequences.get(key, -1) > commit.keys[key].sequence
        }
        meant = writable_keys(commit, found.pending) - overtaken
        present = {*touched, *(letter.key_text for letter in part.dead_letters)}
        verdict = settle(commit, found.pending, overtaken, present, part.dead_letters, part.errors)
        target = self._staged(draft, part, sequence, meant, verdict)
        work = self._settling(draft, verdict, _rows(target, part, sequence, bool(row_keys), bool(delete_keys)))
        receipt = TableReceipt(sequence, rows_rejected=len(verdict.new), byte_count=part.byte_count)
        key = (RUN_ROW, table.name, f"{self._batch.run_id}/replay")
        before = draft.runs.get(key)
        runs.count_rows(draft, self._batch.run_id, table, "replay", len(verdict.new), part.byte_count, None)
        status, ended = (before.status, before.finished_at) if before is not None else (runs.SUCCESS, draft.at)
        draft.runs[key] = replace(draft.runs[key], status=status, finished_at=ended)
        return (verdict, receipt), replace(work, counts={**work.counts, key: Counts("written0", "deleted0")})

    def _found(self, draft: Draft) -> _Found:
        row, its = draft.table(self._commit.table), self._commit
        letters = self._warehouse.own("dead_letters", its.table.schema)
        session = self._warehouse.session
        asked = [ArrayQueryParameter("keys", "STRING", portion) for portion in portions(its.keys)]
        numbers = ArrayQueryParameter("numbers", "INT64", list(its.failed))
        statement = f"""select dead_letter_id, key_text, column_name, reason, sequence, basis,
    sha256(concat(encoding, ' ', record)) as digest from {letters}
where table_name = {literal(its.table.name)} and status = '{PENDING}'
    and (key_text in unnest(@keys) or dead_letter_id in unnest(@numbers))"""
        rows = {
            row.dead_letter_id: row
            for keys in asked or [ArrayQueryParameter("keys", "STRING", [])]
            for row in session.run(statement, [keys, numbers], kind="letters")
        }
        pending = tuple(
            Pending(its.dead_letter_id, its.key_text, its.column_name, its.reason, its.sequence, its.basis, its.digest)
            for its in rows.values()
        )
        if row.schema is None or session.table(self._warehouse.full(row.schema)) is None:
            return _Found(pending, {})
        statement = f"select {KEY}, {SEQUENCE} from {self._warehouse.table(row.schema)} where {KEY} in unnest(@keys)"
        stored = (one for keys in asked for one in session.run(statement, [keys], kind="letters"))
        return _Found(pending, {one[0]: one[1] for one in stored})

    def _staged(
        self, draft: Draft, part: ConformedTable, sequence: int, meant: Collection[str], verdict: Settlement
    ) -> Target:
        warehouse, row = self._warehouse, draft.table(part.schema.table)
        drop(warehouse.session, self._staging)
        self._staging = stage(warehouse.session, warehouse.staging, self._sections(part, meant, verdict))
        schema = part.schema.table.schema
        return Target(
            number=0,
            schema=part.schema,
            table=warehouse.table(part.schema),
            staging=self._staging.name if self._staging is not None else "",
            tombstones=warehouse.own("tombstones", schema),
            letters=warehouse.own("dead_letters", schema),
            deletions=warehouse.log("deletion_log"),
            sequence=sequence,
            is_read=bool(row.readings),
        )

    def _sections(self, part: ConformedTable, meant: Collection[str], verdict: Settlement) -> list[Section]:
        found = []
        if part.rows.num_rows:
            rows = row_section(0, part, places_of(part.schema, part.rows.schema.names))
            found.append(self._with_sequences(rows, meant))
        if part.deletes is not None and part.deletes.num_rows:
            found.append(self._with_sequences(Section(0, DELETE, part.delete_keys()), meant))
        if verdict.new:
            new = replace(part, dead_letters=tuple(its.letter for its in verdict.new))
            letters = letter_section(0, new, Verdict((PENDING,) * len(verdict.new)))
            slots = {
                "i0": pa.array([its.sequence for its in verdict.new], pa.int64()),
                "i1": pa.array([its.basis for its in verdict.new], pa.int64()),
            }
            found.append(replace(letters, slots={**letters.slots, **slots}))
        return found

    def _with_sequences(self, section: Section, meant: Collection[str]) -> Section:
        """The rows of keys that are meant, each with the sequence of its letters."""
        is_meant = pc.is_in(section.keys, pa.array(list(meant), pa.string()))
        keys = section.keys.filter(is_meant)
        slots = {name: values.filter(is_meant) for name, values in section.slots.items()}
        sequences = pa.array([self._commit.keys[key].sequence for key in keys.to_pylist()], pa.int64())
        return Section(section.part, section.op, keys, {**slots, _SLOT: sequences})

    def _settling(self, draft: Draft, verdict: Settlement, work: Work) -> Work:
        """The work with what becomes of the letters behind it."""
        table = self._commit.table
        letters = self._warehouse.own("dead_letters", table.schema)
        statements, parameters = work.statements, list(work.parameters)
        for name, numbers, attempts in (
            (REPLAYED, verdict.replayed, "attempts + 1"),
            (SUPERSEDED, verdict.superseded, "attempts"),
        ):
            if numbers:
                parameters.append(ArrayQueryParameter(name, "INT64", list(numbers)))
                statements += f"""update {letters} set status = '{name}', resolved_at = current_timestamp(),
    attempts = {attempts}, retry_at = null, last_error = null where dead_letter_id in unnest(@{name});
"""
        if verdict.failed:
            parameters.append(
                ArrayQueryParameter("failed", "STRUCT", [_failed(*its) for its in verdict.failed.items()])
            )
            statements += f"""update {letters} as L set attempts = L.attempts + 1, last_error = F.why,
    retry_at = timestamp_add(current_timestamp(), interval cast(least({int(_LONGEST_WAIT.total_seconds())},
        {int(_FIRST_WAIT.total_seconds())} * pow(2, least(L.attempts, 10))) as int64) second)
from unnest(@failed) as F where L.dead_letter_id = F.number;
"""
        if verdict.new and self._staging is not None:
            statements += self._new_letters(draft, letters, len(verdict.new))
        for entry in verdict.errors:
            draft.log_error(entry, self._batch.run_id)
        statements += count_letters(letters, table, "pending0", "aside0")
        counts = {(TABLE_ROW, table.name, ""): Counts("written0", "deleted0", "pending0", "aside0")}
        variables = ("written0", "deleted0", "pending0", "aside0")
        return Work(statements, tuple(parameters), variables, counts)

    def _new_letters(self, draft: Draft, letters: str, count: int) -> str:
        assert self._staging is not None
        its, first = self._commit.table, draft.numbers(count).start
        return f"""insert into {letters} (dead_letter_id, occurred_at, schema_name, table_name, primary_key, operation,
    reason, column_name, record, status, attempts, sequence, basis, encoding, key_text, run_id)
select {first} + S._row, current_timestamp(), {literal(its.schema)}, {literal(its.name)}, S.s0, S.s1, S.s2, S.s3, S.s4,
    '{PENDING}', 0, S.i0, S.i1, S.s5, S._key, {literal(self._batch.run_id)}
from {self._staging.name} as S where S._op = '{LETTER}';
"""


def _rows(target: Target, part: ConformedTable, sequence: int, has_rows: bool, has_deletes: bool) -> Work:
    statements = ""
    if not target.staging:
        return Work()
    if has_rows:
        places = places_of(part.schema, part.rows.schema.names)
        statements += merge.merge_rows(target, places, if_different=False, row_sequence=f"S.{_SLOT}")
        statements += "set written0 = @@row_count;\n"
    if has_deletes:
        if target.is_read:
            statements += merge.bury_keys(target, f"S.{_SLOT}")
        keys = merge.deleted_keys(target)
        statements += merge.log_deletions(target, keys, "null", "source") + "set deleted0 = @@row_count;\n"
        statements += merge.remove_rows(target, keys)
    return Work(statements)


def _failed(number: int, why: str) -> StructQueryParameter:
    values = ScalarQueryParameter("number", "INT64", number), ScalarQueryParameter("why", "STRING", why)
    return StructQueryParameter(None, *values)
