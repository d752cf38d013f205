"""Reads and moves the control rows of a schema: its stream, its tables and its running runs, by compare-and-swap."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from google.cloud import bigquery
from google.cloud.bigquery import ArrayQueryParameter, ScalarQueryParameter, StructQueryParameter
from pydantic import TypeAdapter

from warp_resources.connectors.bigquery.session import Parameter, Session, quoted
from warp_resources.model.batches import ErrorEntry
from warp_resources.model.positions import GenerationState, KeyRange, Position, StreamState, TableState
from warp_resources.model.reports import FinishedSlice
from warp_resources.model.tables import SchemaChange, TableId, TableSchema

STREAM, BATCH = "stream", "batch"
SCHEMA_ROW, TABLE_ROW, RUN_ROW = "schema", "table", "run"
SLICES = "slices"
"""Where the body of a table's row has the slices of its open generations, for the views only."""
MOVED = "cartridge_warp: moved"
"""What a script raises where the control rows are no longer those that it was built on."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A slice's fence: the epoch of its reader, and the generation that it reads for."""

    epoch: int = 0
    generation: str | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """An open generation, and when anything of it was last committed."""

    state: GenerationState
    read_at: datetime


@dataclass(frozen=True, slots=True)
class Intent:
    """A schema version whose statements are under way: they are repeated until it is registered.

    ``errors``: what they have altered so far, whose earlier values may be gone. ``token``: of this announcement alone.
    """

    before: TableSchema | None
    after: TableSchema
    changes: tuple[SchemaChange, ...]
    run_id: str
    errors: tuple[ErrorEntry, ...] = ()
    token: str = ""

    def is_same(self, other: Intent | None) -> bool:
        """Whether the other is this change, however far it has come."""
        return other is not None and replace(other, errors=self.errors) == self


@dataclass(frozen=True, slots=True)
class Figures:
    """What is counted of a table beyond its rows, for status and metrics; never less than before."""

    rows_rejected: int = 0
    byte_count: int = 0
    conversion_warnings: int = 0
    errors: Mapping[str, int] = field(default_factory=dict)
    schema_changes: Mapping[str, int] = field(default_factory=dict)
    discards: Mapping[str, int] = field(default_factory=dict)
    status: str | None = None
    error: str | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class TableRow:
    """All that is known of a table; ``written``, ``deleted``, ``pending`` and ``aside`` are counted by the scripts."""

    state: TableState
    schema: TableSchema | None = None
    intent: Intent | None = None
    plan: tuple[KeyRange, ...] = ()
    claims: Mapping[str, Claim] = field(default_factory=dict)
    readings: Mapping[str, Reading] = field(default_factory=dict)
    finished: tuple[FinishedSlice, ...] = ()
    written: int = 0
    deleted: int = 0
    pending: int = 0
    aside: int = 0

    @property
    def version(self) -> int:
        return self.schema.version if self.schema is not None else 0

    @property
    def strategy(self) -> str:
        """How the table keeps deletes, as ``deletion_log`` spells it."""
        return "soft" if self.schema is not None and self.schema.is_soft else "hard"


@dataclass(frozen=True, slots=True)
class RunRow:
    """A row of ``sync_runs`` that goes on, or ended not long ago."""

    run_id: str
    table: TableId
    mode: str
    status: str
    started_at: datetime
    finished_at: datetime | None = None
    rows_rejected: int = 0
    byte_count: int = 0
    start: Position | None = None
    end: Position | None = None
    error: str | None = None
    written: int = 0
    deleted: int = 0

    @property
    def key(self) -> tuple[str, str, str]:
        return RUN_ROW, self.table.name, f"{self.run_id}/{self.mode}"


@dataclass(frozen=True, slots=True)
class SchemaRow:
    """The schema's own row: ``last_id`` is the highest number ever given to a letter or an error.

    ``figures``: by table name, also of tables that have no row.
    """

    stream: StreamState | None = None
    last_id: int = 0
    figures: Mapping[str, Figures] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ControlRows:
    """The rows of a schema; revision 0: there are none yet. ``revisions``: of each row, when it was last moved."""

    schema: str
    revision: int = 0
    own: SchemaRow = field(default_factory=SchemaRow)
    tables: Mapping[str, TableRow] = field(default_factory=dict)
    runs: Mapping[tuple[str, str, str], RunRow] = field(default_factory=dict)
    revisions: Mapping[tuple[str, str, str], int] = field(default_factory=dict)


@dataclass(slots=True)
class Draft:
    """Control rows to be changed, with what is added to the logs beside them; ``before`` stays as it was."""

    before: ControlRows
    own: SchemaRow
    tables: dict[str, TableRow]
    runs: dict[tuple[str, str, str], RunRow]
    errors: list[tuple[ErrorEntry, str]] = field(default_factory=list)
    versions: list[Intent] = field(default_factory=list)
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @classmethod
    def of(cls, rows: ControlRows) -> Draft:
        return cls(rows, rows.own, dict(rows.tables), dict(rows.runs))

    def table(self, table: TableId, mode: str = STREAM) -> TableRow:
        """A table's row, a new one where there is none."""
        if table.name not in self.tables:
            self.tables[table.name] = TableRow(TableState(table, mode, 0, 0, 0, False))
        return self.tables[table.name]

    def put(self, row: TableRow) -> TableRow:
        self.tables[row.state.table.name] = row
        return row

    def numbers(self, count: int) -> range:
        """Numbers for so many letters or errors: unique, growing, and close to the microsecond they were given at."""
        first = max(self.own.last_id + 1, int(self.at.timestamp() * 1_000_000))
        if count:
            self.own = replace(self.own, last_id=first + count - 1)
        return range(first, first + count)

    def figures(self, name: str) -> Figures:
        return self.own.figures.get(name, Figures())

    def count(self, name: str, figures: Figures) -> None:
        self.own = replace(self.own, figures={**self.own.figures, name: figures})

    def log_error(self, entry: ErrorEntry, run_id: str) -> None:
        """Add an entry to ``error_log``, counted for its table."""
        self.errors.append((entry, run_id))
        self.count_error(entry)

    def count_error(self, entry: ErrorEntry) -> None:
        """Count an entry that the script itself writes."""
        its = self.figures(entry.table.name)
        errors = {**its.errors, entry.error_type: its.errors.get(entry.error_type, 0) + 1}
        warnings = its.conversion_warnings + (entry.severity == "warning" and entry.column is not None)
        self.count(entry.table.name, replace(its, errors=errors, conversion_warnings=warnings))

    @property
    def is_changed(self) -> bool:
        its = self.before
        is_same = (self.own, self.tables, self.runs) == (its.own, dict(its.tables), dict(its.runs))
        return not is_same or bool(self.errors or self.versions)


_TABLE: TypeAdapter[TableRow] = TypeAdapter(TableRow)
_RUN: TypeAdapter[RunRow] = TypeAdapter(RunRow)
_OWN: TypeAdapter[SchemaRow] = TypeAdapter(SchemaRow)

_COUNTED = ("written", "deleted", "pending", "aside")
"""Fields of the rows that are columns: the scripts that write them know the figures, nobody else does."""
_FIELDS = [
    *(bigquery.SchemaField(name, "STRING") for name in ("kind", "name", "part")),
    bigquery.SchemaField("revision", "INTEGER"),
    bigquery.SchemaField("body", "STRING"),
    *(bigquery.SchemaField(name, "INTEGER") for name in _COUNTED),
    bigquery.SchemaField("updated_at", "TIMESTAMP"),
]
"""All columns of a control table in its order, which is that of the answers."""


def control_table(project: str, dataset: str, schema: str) -> str:
    """The full name of a schema's control table, for requests."""
    return f"{project}.{dataset}.control__{schema}"


def create_control(name: str) -> str:
    """Make a control table with its schema's row, unless it is there: by one statement, so that it is one row."""
    return f"""create table if not exists {name} as
select '{SCHEMA_ROW}' as kind, '' as name, '' as part, 1 as revision, '{{}}' as body,
    0 as written, 0 as deleted, 0 as pending, 0 as aside, current_timestamp() as updated_at"""


def read_control(session: Session, dataset: str, schema: str) -> ControlRows:
    """The rows of a schema as they are committed, without a job."""
    found = session.rows(control_table(session.project, dataset, schema), _FIELDS)
    own, revision = SchemaRow(), 0
    tables: dict[str, TableRow] = {}
    runs: dict[tuple[str, str, str], RunRow] = {}
    for row in found:
        if row.kind == SCHEMA_ROW:
            own, revision = _OWN.validate_json(row.body), row.revision
        elif row.kind == TABLE_ROW:
            tables[row.name] = _counted(_TABLE.validate_json(row.body), row)
        else:
            runs[row.kind, row.name, row.part] = _counted_run(_RUN.validate_json(row.body), row)
    revisions = {(row.kind, row.name, row.part): int(row.revision) for row in found}
    return ControlRows(schema, revision, own, tables, runs, revisions)


def _counted(its: TableRow, row: Any) -> TableRow:
    return replace(its, written=row.written, deleted=row.deleted, pending=row.pending, aside=row.aside)


def _counted_run(its: RunRow, row: Any) -> RunRow:
    return replace(its, written=row.written, deleted=row.deleted)


@dataclass(frozen=True, slots=True)
class Counts:
    """The names of the script's variables that count what a part did to a table and to its run; empty: nothing."""

    written: str = "0"
    deleted: str = "0"
    pending: str = ""
    aside: str = ""


def fence_statement(name: str, draft: Draft) -> str:
    """The fence of a script, to be the first of its transaction: whoever is late is told before any work is done.

    Args:
        name: the control table, quoted.
    """
    its = draft.before.revision
    return f"""update {name} set revision = {its + 1} where kind = '{SCHEMA_ROW}' and revision = {its};
if @@row_count <> 1 then raise using message = '{MOVED}'; end if;
"""


def move_statements(
    name: str, draft: Draft, counts: Mapping[tuple[str, str, str], Counts]
) -> tuple[str, list[Parameter]]:
    """The changes of a script to the control rows, each of which must be as it was read.

    Args:
        name: the control table, quoted.
        counts: by the key of a control row, what the script has counted for it.
    """
    rows = _changed(draft, counts)
    revision = draft.before.revision + 1
    script = f"""
merge {name} T using (
    select R.kind, R.name, R.part, R.revision, R.body, R.counted from unnest(@control) as R
) S on T.kind = S.kind and T.name = S.name and T.part = S.part
when matched and T.revision = S.revision then update set
    revision = {revision}, body = S.body, updated_at = current_timestamp(),
    written = T.written + {_case(counts, "written", "0")}, deleted = T.deleted + {_case(counts, "deleted", "0")},
    pending = {_case(counts, "pending", "T.pending")}, aside = {_case(counts, "aside", "T.aside")}
when not matched then insert (kind, name, part, revision, body, written, deleted, pending, aside, updated_at) values (
    S.kind, S.name, S.part, {revision}, S.body, {_case(counts, "written", "0")},
    {_case(counts, "deleted", "0")}, {_case(counts, "pending", "0")}, {_case(counts, "aside", "0")},
    current_timestamp());
if @@row_count <> {len(rows)} then raise using message = '{MOVED}'; end if;
"""
    parameters: list[Parameter] = [ArrayQueryParameter("control", "STRUCT", rows)]
    gone = [key for key in draft.before.runs if key not in draft.runs]
    if gone:
        script += f"delete from {name} where kind = '{RUN_ROW}' and concat(name, '/', part) in unnest(@gone);\n"
        parameters.append(ArrayQueryParameter("gone", "STRING", [f"{name}/{part}" for _, name, part in gone]))
    return script, parameters


def _case(counts: Mapping[tuple[str, str, str], Counts], column: str, otherwise: str) -> str:
    whens = [
        f"when {number} then {getattr(its, column)}"
        for number, its in enumerate(counts.values(), 1)
        if getattr(its, column)
    ]
    return f"case S.counted {' '.join(whens)} else {otherwise} end" if whens else otherwise


def _changed(draft: Draft, counts: Mapping[tuple[str, str, str], Counts]) -> list[StructQueryParameter]:
    """The rows that differ from before, the schema's own always among them."""
    ordinals = {key: number for number, key in enumerate(counts, 1)}
    found: list[tuple[tuple[str, str, str], str]] = [((SCHEMA_ROW, "", ""), _text(_OWN, draft.own))]
    for name, table in draft.tables.items():
        key = (TABLE_ROW, name, "")
        if key in ordinals or draft.before.tables.get(name) != table:
            found.append((key, _table_text(table)))
    for key, run in draft.runs.items():
        if key in ordinals or draft.before.runs.get(key) != run:
            found.append((key, _text(_RUN, run)))
    # The fence has moved the schema's own row already.
    revisions = {**draft.before.revisions, (SCHEMA_ROW, "", ""): draft.before.revision + 1}
    return [_row(key, body, ordinals.get(key, 0), revisions.get(key, 0)) for key, body in found]


def _text(adapter: TypeAdapter[Any], value: Any) -> str:
    return adapter.dump_json(value, exclude=set(_COUNTED), exclude_defaults=True).decode()


def _table_text(row: TableRow) -> str:
    """A table's row, with its slices once more as a list, for the views."""
    shown = [
        {
            "generation": generation,
            "slice": part.name,
            "lower": part.range.lower,
            "upper": part.range.upper,
            "position": {"resume": part.resume, "done": part.is_done, "high": part.high},
            "epoch": row.claims.get(part.name, Claim()).epoch,
        }
        for generation, reading in row.readings.items()
        for part in reading.state.slices
    ]
    text = _text(_TABLE, row)
    return f'{text[:-1]}, "{SLICES}": {json.dumps(shown)}}}' if shown else text


def _row(key: tuple[str, str, str], body: str, ordinal: int, revision: int) -> StructQueryParameter:
    fields = zip(("kind", "name", "part", "body"), (*key, body), strict=True)
    values = [ScalarQueryParameter(name, "STRING", value) for name, value in fields]
    numbers = ScalarQueryParameter("counted", "INT64", ordinal), ScalarQueryParameter("revision", "INT64", revision)
    return StructQueryParameter(None, *values, *numbers)


def control_name(session: Session, dataset: str, schema: str) -> str:
    """A schema's control table, quoted for SQL."""
    return quoted(session.project, dataset, f"control__{schema}")
