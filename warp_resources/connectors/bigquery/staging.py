"""Puts what commits together into one staging table: one load job, whatever the number of tables."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.parquet as pq
from google.api_core import exceptions as api
from google.auth import exceptions as auth
from google.cloud import bigquery

from warp_resources.connectors.bigquery.session import Session, quoted
from warp_resources.connectors.bigquery.types import SLOTS, staged, stored_value
from warp_resources.errors import OperatorError
from warp_resources.model.batches import ConformedTable
from warp_resources.model.tables import Column, TableSchema

ROW, DELETE, LETTER, ERROR = "row", "delete", "letter", "error"
"""What a staged row is, in the column ``_op``."""
_OWN = {"_part": pa.int64(), "_op": pa.string(), "_row": pa.int64(), "_key": pa.string()}
_OWN_TYPES = {"_part": "INT64", "_op": "STRING", "_row": "INT64", "_key": "STRING"}


@dataclass(frozen=True, slots=True)
class Section:
    """Rows of one kind for one part of a commit: ``slots`` are the columns by slot name, ``keys`` one text a row."""

    part: int
    op: str
    keys: pa.Array
    slots: Mapping[str, pa.Array] = field(default_factory=dict)

    @property
    def length(self) -> int:
        return len(self.keys)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a column of a part is staged, and the SQL that makes its value, with ``S`` for the staged row."""

    column: Column
    slot: str
    expression: str


def places_of(schema: TableSchema, brought: Iterable[str]) -> list[Place]:
    """A slot for each column that a part brings, by stored name; tables of one commit share the slots."""
    names, used = set(brought), defaultdict[str, int](int)
    found = []
    for column in schema.columns:
        if column.stored not in names:
            continue
        how = staged(column.type)
        slot = f"{how.slot}{used[how.slot]}"
        used[how.slot] += 1
        found.append(Place(column, slot, stored_value(column, f"S.{slot}")))
    return found


def row_section(number: int, part: ConformedTable, places: Sequence[Place]) -> Section:
    """The rows of a part, to be merged."""
    slots = {its.slot: staged(its.column.type).carried(part.rows.column(its.column.stored)) for its in places}
    return Section(number, ROW, part.row_keys(), slots)


def delete_section(number: int, part: ConformedTable) -> Section:
    """The keys that a part deletes."""
    return Section(number, DELETE, part.delete_keys())


@dataclass(frozen=True, slots=True)
class Staging:
    """A staging table that has been filled; ``name`` is quoted, ``full`` is for requests."""

    name: str
    full: str


def stage(session: Session, dataset: str, sections: Sequence[Section]) -> Staging | None:
    """Fill a staging table by one load job; None where there is nothing to stage.

    Nobody else has a table of that name, and the job has it too, so that a repeated request loads nothing twice. The
    dataset's default makes the table expire, should nobody drop it.
    """
    filled = [section for section in sections if section.length]
    if not filled:
        return None
    content = _parquet(filled)
    name = session.next_name("load")
    full = f"{session.project}.{dataset}.{name}"
    loaded = session.load(lambda: io.BytesIO(content.getbuffer()), full, _schema(filled), f"cartridge_warp_{name}")
    expected = sum(section.length for section in filled)
    if loaded != expected:
        raise OperatorError(
            f"BigQuery says that it loaded {loaded} rows of {expected}", remedy="Report this as a bug", table=full
        )
    return Staging(quoted(session.project, dataset, name), full)


def drop(session: Session, staging: Staging | None) -> None:
    """Drop a staging table that is used up; where that fails, it expires."""
    if staging is not None:
        with suppress(api.GoogleAPICallError, auth.GoogleAuthError, OSError):
            session.client.delete_table(staging.full, not_found_ok=True, retry=None, timeout=10)  # type: ignore[arg-type]


def _slots(sections: Iterable[Section]) -> list[str]:
    return sorted({slot for section in sections for slot in section.slots}, key=lambda slot: (slot[0], int(slot[1:])))


def _schema(sections: Sequence[Section]) -> list[bigquery.SchemaField]:
    own = [bigquery.SchemaField(name, its) for name, its in _OWN_TYPES.items()]
    return own + [bigquery.SchemaField(slot, SLOTS[slot[0]][0]) for slot in _slots(sections)]


def _parquet(sections: Sequence[Section]) -> io.BytesIO:
    slots = _slots(sections)
    schema = pa.schema([*_OWN.items(), *((slot, SLOTS[slot[0]][1]) for slot in slots)])
    written = io.BytesIO()
    with pq.ParquetWriter(written, schema, compression="snappy") as writer:
        for section in sections:
            writer.write_table(_table(section, schema))
    return written


def _table(section: Section, schema: pa.Schema) -> pa.Table:
    count = section.length
    own = {
        "_part": pa.repeat(pa.scalar(section.part, pa.int64()), count),
        "_op": pa.repeat(pa.scalar(section.op), count),
        "_row": pa.array(range(count), pa.int64()),
        "_key": section.keys.cast(pa.string()),
    }
    arrays = [own.get(name) if name in own else section.slots.get(name) for name in schema.names]
    filled = [pa.nulls(count, its.type) if array is None else array for array, its in zip(arrays, schema, strict=True)]
    return pa.table(filled, schema=schema)
