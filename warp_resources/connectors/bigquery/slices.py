"""Reads whole tables: plans their slices, and yields one chunk of a slice at a time.

A slice is read through one session of the Storage Read API: a snapshot of its rows as of one moment, at a sixth of
the price of a query. Each chunk takes its rows from where the one before stopped; no chunk scans anything again.
``resume`` names the session's stream and how many of its rows are read, so that another process goes on in the middle.
A session lasts for hours; after that the slice begins anew, with another snapshot.

Rows come in the order in which they are stored: to sort a large table is what BigQuery does worst. A table is cut into
slices only where it is clustered or partitioned by its key, since of any other each slice would scan all of it. Rows of
views and external tables come from the result of one query, which is read like a table.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import structlog
from google.cloud.bigquery import SchemaField

from warp_resources.connectors.bigquery.catalog import Catalog, Origin
from warp_resources.connectors.bigquery.decode import decoded
from warp_resources.connectors.bigquery.fields import named, type_name
from warp_resources.connectors.bigquery.key_values import bound_text, literal
from warp_resources.connectors.bigquery.session import Session, quoted
from warp_resources.connectors.bigquery.storage import RowStream, Storage, StreamExpired
from warp_resources.connectors.interfaces import ReadLimits, SourceScope
from warp_resources.model.batches import Chunk, TableBatch
from warp_resources.model.positions import KeyRange
from warp_resources.model.tables import TableId

_ROWS_PER_SLICE = 1_000
_MOST_OPEN = 8
_SLICED = ("INT64", "NUMERIC", "BIGNUMERIC", "STRING", "BYTES", "TIMESTAMP", "DATETIME", "DATE")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Reading:
    """A slice in the middle of being read, with what its table was when its snapshot was made."""

    origin: Origin
    rows: RowStream


class Slices:
    """The slices that one process reads; keeps the streams open that it is in the middle of."""

    def __init__(self, session: Session, storage: Storage, catalog: Catalog) -> None:
        self._session, self._storage, self._catalog = session, storage, catalog
        self._open: OrderedDict[str, _Reading] = OrderedDict()

    def plan(self, scope: SourceScope, table: str, slice_count: int) -> list[KeyRange]:
        """Ranges of about the same number of keys, where a range is a part of the storage; else one of all."""
        origin = self._catalog.origin(scope, table)
        field = None if origin is None else _cut_by(origin)
        if origin is None or field is None:
            return [KeyRange()]
        count = min(slice_count, origin.rows // _ROWS_PER_SLICE)
        if count < 2:
            return [KeyRange()]
        script = f"select approx_quantiles({quoted(field.name)}, {count}) from {origin.sql}"
        [[quantiles]] = self._session.run(script, kind="plan")
        cuts = dict.fromkeys(bound_text(field, value) for value in (quantiles or [])[1:-1])
        return [KeyRange(lower, upper) for lower, upper in pairwise([None, *cuts, None])]

    def read_chunk(
        self, scope: SourceScope, table: str, key_range: KeyRange, resume: str | None, limits: ReadLimits
    ) -> Chunk:
        """The next rows of a slice."""
        reading = self._open.pop(resume, None) if resume is not None else None
        if reading is None:
            origin = self._catalog.origin(scope, table)
            if origin is None:
                key = self._catalog.key(scope, table) or ()
                return Chunk(TableBatch(TableId(scope.schema, table), key, (), 0), resume, is_last=True)
            reading = _Reading(origin, self._taken_up(origin, resume) or self._begun(origin, key_range))
        origin, rows = reading.origin, reading.rows
        batch = decoded(origin.id, origin.key, origin.fields, rows.take(limits), extended=scope.is_extended(table))
        place = json.dumps({"stream": rows.name, "offset": rows.offset})
        is_last = rows.is_at_end()
        if not is_last:
            self._keep(place, reading)
        return Chunk(batch, place, is_last)

    def forget(self) -> None:
        """Let go of every open stream."""
        self._open.clear()

    def _taken_up(self, origin: Origin, resume: str | None) -> RowStream | None:
        if resume is None:
            return None
        try:
            return self._storage.open(*_place(resume))
        except StreamExpired:
            log.warning("snapshot expired, its slice is read anew", table=str(origin.id))
            return None

    def _begun(self, origin: Origin, key_range: KeyRange) -> RowStream:
        condition = _condition(origin, key_range)
        if origin.is_stored:
            return self._storage.begin(origin.path, condition)
        script = f"select * from {origin.sql}" + (f" where {condition}" if condition else "")
        return self._storage.begin(self._session.result_table(script, kind="snapshot"))

    def _keep(self, place: str, reading: _Reading) -> None:
        self._open[place] = reading
        if len(self._open) > _MOST_OPEN:
            self._open.popitem(last=False)


def _place(resume: str) -> tuple[str, int]:
    its: dict[str, Any] = json.loads(resume)
    return str(its["stream"]), int(its["offset"])


def _cut_by(origin: Origin) -> SchemaField | None:
    """The first key column, if a range of it is a part of the storage."""
    first = origin.key[0]
    field = named(origin.fields, first)
    is_cut = origin.is_stored and first in (origin.clustered_by, origin.partitioned_by)
    return field if is_cut and field is not None and type_name(field) in _SLICED else None


def _condition(origin: Origin, key_range: KeyRange) -> str:
    """What holds of the rows of a range; those without a key are in the first."""
    field = named(origin.fields, origin.key[0])
    assert field is not None
    name, parts = quoted(field.name), []
    if key_range.lower is not None:
        parts.append(f"{name} >= {literal(field, key_range.lower)}")
    if key_range.upper is not None:
        below = f"{name} < {literal(field, key_range.upper)}"
        parts.append(below if parts or field.mode == "REQUIRED" else f"({below} or {name} is null)")
    return " and ".join(parts)
