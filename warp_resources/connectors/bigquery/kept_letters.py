"""Finds, counts and discards dead letters, and finds logged errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from google.cloud.bigquery import ArrayQueryParameter, ScalarQueryParameter

from warp_resources.connectors.bigquery.changing import Work, changed_with
from warp_resources.connectors.bigquery.control import TABLE_ROW, Counts, Draft
from warp_resources.connectors.bigquery.letters import count_letters
from warp_resources.connectors.bigquery.session import Parameter
from warp_resources.connectors.bigquery.warehouse import Warehouse
from warp_resources.connectors.letter_rows import kept_error, kept_letter
from warp_resources.model.letters import (
    DISCARDED,
    PENDING,
    ErrorSelection,
    KeptError,
    KeptLetter,
    LetterCount,
    LetterSelection,
)
from warp_resources.model.tables import TableId


@dataclass(slots=True)
class _Where:
    """Conditions with their parameters."""

    conditions: list[str] = field(default_factory=lambda: ["true"])
    parameters: list[Parameter] = field(default_factory=list)

    def add(self, condition: str, name: str, kind: str, value: Any) -> None:
        self.conditions.append(condition)
        is_many = isinstance(value, Sequence) and not isinstance(value, str)
        self.parameters.append(
            ArrayQueryParameter(name, kind, list(value)) if is_many else ScalarQueryParameter(name, kind, value)
        )

    def __str__(self) -> str:
        return " and ".join(self.conditions)


def dead_letters(warehouse: Warehouse, selection: LetterSelection, *, with_records: bool) -> list[KeptLetter]:
    """The chosen letters in the order of their commits, or the reverse."""
    where = _chosen(selection)
    order = "dead_letter_id desc" if selection.newest_first else "table_name, sequence, dead_letter_id"
    limit = f" limit {selection.limit}" if selection.limit is not None else ""
    record = "record" if with_records else "''"
    rows = warehouse.session.run(
        f"""select dead_letter_id, occurred_at, table_name, primary_key, operation, reason, column_name,
    {record} as record, encoding, key_text, status, sequence, basis, attempts, last_error, retry_at, resolved_at,
    run_id, byte_length(record) as byte_count
from {warehouse.own("dead_letters", selection.schema)} where {where} order by {order}{limit}""",
        where.parameters,
        kind="letters",
    )
    return [kept_letter(selection.schema, row) for row in rows]


def letter_counts(warehouse: Warehouse, selection: LetterSelection) -> list[LetterCount]:
    """How many of the chosen letters each table has, by reason and status."""
    where = _chosen(selection)
    rows = warehouse.session.run(
        f"""select table_name, reason, status, count(*) as letters
from {warehouse.own("dead_letters", selection.schema)} where {where} group by 1, 2, 3 order by 1, 2, 3""",
        where.parameters,
        kind="letters",
    )
    return [LetterCount(TableId(selection.schema, row[0]), row[1], row[2], row[3]) for row in rows]


def discard_letters(warehouse: Warehouse, selection: LetterSelection) -> int:
    """Say of the chosen letters that are pending that nobody wants them; how many."""
    where = _chosen(replace(selection, status=PENDING, limit=None))
    letters = warehouse.own("dead_letters", selection.schema)

    def decide(draft: Draft) -> tuple[None, Work]:
        statements = f"""update {letters}
set status = '{DISCARDED}', resolved_at = current_timestamp(), retry_at = null where {where};
set discarded = @@row_count;
"""
        variables, counts = ["discarded"], {}
        for number, (name, row) in enumerate(draft.tables.items()):
            if row.pending and selection.table in (None, name):
                pending, aside = f"pending{number}", f"aside{number}"
                variables += [pending, aside]
                statements += count_letters(letters, row.state.table, pending, aside)
                counts[TABLE_ROW, name, ""] = Counts(pending=pending, aside=aside)
        return None, Work(statements, tuple(where.parameters), tuple(variables), counts)

    return changed_with(warehouse, selection.schema, decide, kind="discard")[1].get("discarded", 0)


def logged_errors(warehouse: Warehouse, selection: ErrorSelection) -> list[KeptError]:
    """The chosen rows of the log, newest first."""
    where = _Where()
    where.add("schema_name = @schema", "schema", "STRING", selection.schema)
    if selection.table is not None:
        where.add("table_name = @table", "table", "STRING", selection.table)
    if selection.error_type is not None:
        where.add("error_type = @type", "type", "STRING", selection.error_type)
    if selection.since is not None:
        where.add("occurred_at >= @since", "since", "TIMESTAMP", selection.since)
    limit = f" limit {selection.limit}" if selection.limit is not None else ""
    rows = warehouse.session.run(
        f"""select error_id, occurred_at, table_name, column_name, error_type, severity, primary_key, message, action,
    run_id from {warehouse.log("error_log")} where {where} order by error_id desc{limit}""",
        where.parameters,
        kind="errors",
    )
    return [kept_error(selection.schema, row) for row in rows]


def _chosen(its: LetterSelection) -> _Where:
    where = _Where()
    if its.table is not None:
        where.add("table_name = @table", "table", "STRING", its.table)
    if its.reasons:
        where.add("reason in unnest(@reasons)", "reasons", "STRING", its.reasons)
    if its.status is not None:
        where.add("status = @status", "status", "STRING", its.status)
    if its.ids:
        where.add("dead_letter_id in unnest(@ids)", "ids", "INT64", its.ids)
    if its.keys:
        where.add("key_text in unnest(@keys)", "keys", "STRING", its.keys)
    if its.is_due:
        where.conditions.append("(retry_at is null or retry_at <= current_timestamp())")
    if its.max_attempts is not None:
        where.add("attempts < @attempts", "attempts", "INT64", its.max_attempts)
    return where
