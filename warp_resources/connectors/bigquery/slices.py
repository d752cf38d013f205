"""Reads whole tables: plans their slices, and yields one chunk of a slice at a time.

A slice is read through one session of the Storage Read API: a snapshot of its rows as of one moment, at a sixth of
the price of a query. Each chunk takes its rows from where the one before stopped; no chunk scans anything again.
``resume`` names the session's stream and how many of its rows are read, so that another process goes on in the middle.

A session lasts for hours. After that the slice begins anew, with another snapshot: in parts, each with a session of its
own, where its table can be cut; else as it is, but once only, since it would end in the middle again and again.

Rows come in the order in which they are stored: to sort a large table is what BigQuery does worst. A table is cut into
slices only where it is clustered or partitioned by its key, since of any other each slice would scan all of it. Rows of
views and external tables come from the result of one query, which is read like a table.
"""

from __future__ import annotations

from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise

import structlog
from google.cloud.bigquery import SchemaField

from warp_resources.connectors.bigquery.catalog import Catalog, Origin
from warp_resources.connectors.bigquery.decode import TypesDiffer, decoded
from warp_resources.connectors.bigquery.fields import named, type_name
from warp_resources.connectors.bigquery.key_values import bound_text, literal
from warp_resources.connectors.bigquery.places import Place, place_in
from warp_resources.connectors.bigquery.session import Session, quoted
from warp_resources.connectors.bigquery.storage import RowStream, Storage, StreamExpired
from warp_resources.connectors.interfaces import ReadLimits, SourceScope
from warp_resources.errors import OperatorError, TableFailure
from warp_resources.model.batches import Chunk, TableBatch
from warp_resources.model.positions import KeyRange
from warp_resources.model.tables import TableId

_ROWS_PER_SLICE = 1_000
_MOST_OPEN = 8
_PARTS = 8
"""What a slice is cut into whose snapshot expired."""

_SLICED = ("INT64", "NUMERIC", "BIGNUMERIC", "STRING", "BYTES", "TIMESTAMP", "DATETIME", "DATE")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Reading:
    """A slice in the middle of being read, with what its table was when its snapshot was made.

    ``place``: where the stream was opened; of one that was begun for it, without a stream.
    """

    origin: Origin
    place: Place
    rows: RowStream


class Slices:
    """The slices that one process reads; keeps the streams open that it is in the middle of."""

    def __init__(self, session: Session, storage: Storage, catalog: Catalog) -> None:
        self._session, self._storage, self._catalog = session, storage, catalog
        self._open: OrderedDict[str, _Reading] = OrderedDict()

    def plan(self, scope: SourceScope, table: str, slice_count: int) -> list[KeyRange]:
        """Ranges of about the same number of keys, where a range is a part of the storage; else one of all."""
        origin = self._catalog.origin(scope, table)
        cuts = [] if origin is None else self._cuts(origin, KeyRange(), slice_count)
        return [KeyRange(lower, upper) for lower, upper in pairwise([None, *cuts, None])]

    def read_chunk(
        self, scope: SourceScope, table: str, key_range: KeyRange, resume: str | None, limits: ReadLimits
    ) -> Chunk:
        """The next rows of a slice.

        Raises:
            TableFailure: it takes longer than its snapshots last, and cannot be cut.
        """
        reading = self._open.pop(resume, None) if resume is not None else None
        if reading is not None:
            # What expires in the middle goes on as in another process.
            with suppress(StreamExpired):
                return self._next(reading, limits, extended=scope.is_extended(table))
        origin = self._catalog.origin(scope, table)
        if origin is None:
            key = self._catalog.key(scope, table) or ()
            return Chunk(TableBatch(TableId(scope.schema, table), key, (), 0), resume, is_last=True, is_gone=True)
        reading = self._taken_up(origin, key_range, _place(origin, resume))
        try:
            return self._next(reading, limits, extended=scope.is_extended(table))
        except TypesDiffer:
            if not reading.place.stream:
                raise
        log.warning("column types are others than in the snapshot, slice is read anew", table=str(origin.id))
        return self._next(self._anew(origin, key_range, reading.place), limits, extended=scope.is_extended(table))

    def forget(self) -> None:
        """Let go of every open stream."""
        self._open.clear()

    def _next(self, reading: _Reading, limits: ReadLimits, *, extended: bool) -> Chunk:
        origin, rows = reading.origin, reading.rows
        batch = decoded(origin.id, origin.key, origin.fields, rows.take(limits), extended=extended)
        is_at_end = rows.is_at_end()
        place = replace(reading.place, stream=rows.name, offset=rows.offset)
        if not is_at_end:
            self._keep(place.text(), reading)
        is_last = is_at_end and not place.cuts
        return Chunk(batch, (place.next_part() if is_at_end and place.cuts else place).text(), is_last)

    def _taken_up(self, origin: Origin, whole: KeyRange, place: Place) -> _Reading:
        """The rows from a place on, or of its part from the beginning where they are not to be had any more."""
        if place.stream:
            try:
                rows = self._storage.open(place.stream, place.offset)
            except StreamExpired:
                place = self._after_expiry(origin, whole, place)
            else:
                if rows.has(origin.key):
                    return _Reading(origin, place, rows)
                log.warning("key columns are others than in the snapshot, slice is read anew", table=str(origin.id))
        return self._anew(origin, whole, place)

    def _anew(self, origin: Origin, whole: KeyRange, place: Place) -> _Reading:
        """The rows of the part that a place is in, from its beginning."""
        place = replace(place, stream="", offset=0)
        return _Reading(origin, place, self._begun(origin, place.part(whole)))

    def _after_expiry(self, origin: Origin, whole: KeyRange, place: Place) -> Place:
        """Where to begin anew: in parts, if the table can be cut."""
        part = place.part(whole)
        cuts = self._cuts(origin, part, _PARTS)
        log.warning("snapshot expired, its slice is read anew", table=str(origin.id), parts=len(cuts) + 1)
        if cuts:
            return Place(lower=part.lower, cuts=(*cuts, *place.cuts))
        if place.expired:
            raise _too_long(origin, place)
        return replace(place, stream="", offset=0, expired=place.expired + 1)

    def _cuts(self, origin: Origin, part: KeyRange, count: int) -> list[str]:
        """Bounds that cut a range of keys into at most so many parts; none where a part would read all of the table."""
        field, count = _cut_by(origin), min(count, origin.rows // _ROWS_PER_SLICE)
        if field is None or count < 2:
            return []
        condition = _condition(origin, part)
        if condition is None:
            return []
        where = f" where {condition}" if condition else ""
        script = f"select approx_quantiles({quoted(field.name)}, {count}) from {origin.sql}{where}"
        [[quantiles]] = self._session.run(script, kind="plan")
        cuts = dict.fromkeys(bound_text(field, value) for value in (quantiles or [])[1:-1])
        # The bounds of the range itself would make empty parts, again and again.
        return [cut for cut in cuts if cut not in (part.lower, part.upper)]

    def _begun(self, origin: Origin, key_range: KeyRange) -> RowStream:
        condition = _condition(origin, key_range)
        if condition is None:
            return RowStream("", 0, iter(()))
        if origin.is_stored:
            return self._storage.begin(origin.path, condition)
        script = f"select * from {origin.sql}" + (f" where {condition}" if condition else "")
        return self._storage.begin(self._session.result_table(script, kind="snapshot"))

    def _keep(self, place: str, reading: _Reading) -> None:
        self._open[place] = reading
        if len(self._open) > _MOST_OPEN:
            self._open.popitem(last=False)


def _place(origin: Origin, resume: str | None) -> Place:
    place = Place() if resume is None else place_in(resume)
    if place is None:
        log.warning("place in a slice cannot be read, slice is read anew", table=str(origin.id))
    return place or Place()


def _too_long(origin: Origin, place: Place) -> TableFailure:
    first = origin.key[0]
    parts = (
        f"Cluster the table by {first}, and it goes on in parts by itself"
        if origin.is_stored
        else f"Read a table that is clustered by {first} instead of a view"
    )
    return TableFailure(
        "Reading the table takes longer than BigQuery keeps a snapshot, six hours: it has expired twice",
        remedy=f"{parts}; or make the destination faster, then: cartridge-warp run --once --full-resync --table "
        f"{origin.id.name} (see docs/bigquery.md, Reading from BigQuery)",
        table=origin.id,
        snapshots=place.expired + 1,
    )


def _cut_by(origin: Origin) -> SchemaField | None:
    """The first key column, if a range of it is a part of the storage."""
    first = origin.key[0]
    field = named(origin.fields, first)
    is_cut = origin.is_stored and first in (origin.clustered_by, origin.partitioned_by)
    return field if is_cut and field is not None and type_name(field) in _SLICED else None


def _condition(origin: Origin, key_range: KeyRange) -> str | None:
    """What holds of the rows of a range, those without a key being in the first; None where no row can be in it.

    A bound that is not of the key's type, which was another one when the slices were planned, is beyond all keys. So
    each key is still in a slice: the last one that begins at or before it.
    """
    field = named(origin.fields, origin.key[0])
    assert field is not None
    name, parts = quoted(field.name), []
    if key_range.lower is not None:
        if (lower := _bound(origin, field, key_range.lower)) is None:
            return None
        parts.append(f"{name} >= {lower}")
    if key_range.upper is not None and (upper := _bound(origin, field, key_range.upper)) is not None:
        below = f"{name} < {upper}"
        parts.append(below if parts or field.mode == "REQUIRED" else f"({below} or {name} is null)")
    return " and ".join(parts)


def _bound(origin: Origin, field: SchemaField, text: str) -> str | None:
    if type_name(field) in _SLICED:
        with suppress(OperatorError):
            return literal(field, text)
    log.warning("bound of a slice is not of the key's type", table=str(origin.id), column=field.name)
    return None
