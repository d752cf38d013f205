"""Reads the rows of a table by a marker column, such as the time of their last update."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import structlog
from google.cloud.bigquery import ScalarQueryParameter, SchemaField

from warp_resources.connectors.bigquery.catalog import Origin
from warp_resources.connectors.bigquery.decode import decoded
from warp_resources.connectors.bigquery.fields import MARKERS, REPEATED, named, type_name
from warp_resources.connectors.bigquery.key_values import sent
from warp_resources.connectors.bigquery.session import Session, quoted
from warp_resources.connectors.bigquery.storage import RowStream, Storage, StreamExpired
from warp_resources.connectors.bigquery.tick_cost import TickCost
from warp_resources.connectors.interfaces import MarkedRange, ReadLimits
from warp_resources.errors import TableFailure
from warp_resources.model.batches import TableBatch
from warp_resources.model.local_times import shown_since, shown_until

log = structlog.get_logger(__name__)


def read_marked(
    session: Session,
    storage: Storage,
    origin: Origin,
    marked: MarkedRange,
    limits: ReadLimits,
    max_bytes: int | None,
    *,
    extended: bool = False,
) -> Iterator[TableBatch]:
    """The rows of a marker's range, in batches within the limits.

    One query, whose result is read as a table is. A query that was asked before, of a table that has not changed
    since, is answered from BigQuery's cache at no cost.

    Raises:
        TableFailure: the table has no such marker column, or the query would read more than ``max_bytes``, or writing
            the rows takes longer than the result is kept.
    """
    script, parameters = marked_query(origin, marked)
    cost = TickCost(
        origin.id,
        marked.column,
        session.query_bytes(script, parameters),
        origin.bytes,
        max_bytes,
        is_upper_bound=origin.clustered_by.casefold() == marked.column.casefold(),
        is_stored=origin.is_stored,
    )
    log.info(
        "tick estimated",
        table=str(origin.id),
        tick_bytes=cost.query_bytes,
        table_bytes=cost.table_bytes,
        pruned_by=_pruned_by(origin, marked.column),
        partitioned_by=origin.partitioned_by or None,
    )
    cost.demand()
    found = session.result_table(script, parameters, kind="tick", max_bytes=cost.billing_limit)
    rows = storage.begin(found)
    while (taken := _taken(rows, limits, origin)) is not None:
        yield decoded(origin.id, origin.key, origin.fields, taken, extended=extended)


def _taken(rows: RowStream, limits: ReadLimits, origin: Origin) -> pa.RecordBatch | None:
    try:
        return rows.take(limits)
    except StreamExpired as error:
        raise TableFailure(
            "A tick takes longer than BigQuery keeps the rows that it has found, six hours",
            remedy="Read the table anew, which goes on where it was interrupted: cartridge-warp run --once "
            f"--full-resync --table {origin.id.name}; or make the destination faster",
            table=origin.id,
            rows_read=rows.offset,
        ) from error


def marked_query(origin: Origin, marked: MarkedRange) -> tuple[str, list[ScalarQueryParameter]]:
    """The query for the rows of a range, in the marker's own type, so that partitions are pruned."""
    field = _marker(origin, marked.column)
    name, its = quoted(field.name), type_name(field)
    bounds = [("since", ">=", marked.since), ("until", "<", marked.until)]
    given = [(label, sign, at) for label, sign, at in bounds if at is not None]
    values = {label: marker_value(at, its, marked.timezone, is_end=label == "until") for label, _, at in given}
    parameters = [ScalarQueryParameter(label, its, sent(value, its)) for label, value in values.items()]
    condition = " and ".join(f"{name} {sign} @{label}" for label, sign, _ in given)
    if marked.unmarked:
        condition = f"({condition}) or {name} is null" if condition else ""
    elif not condition:
        condition = f"{name} is not null"
    columns = ", ".join(quoted(one.name) for one in origin.fields)
    return f"select {columns} from {origin.sql}" + (f" where {condition}" if condition else ""), parameters


def marker_value(at: datetime, its: str, zone: str = "UTC", *, is_end: bool) -> Any:
    """A time as a value of a marker's type: one without a zone is what clocks of ``zone`` show.

    A row of a date may have changed at any time of the day: a range begins with the day that its start is in, and an
    end within a day takes in that day.
    """
    if its == "TIMESTAMP":
        return at.astimezone(UTC)
    naive = shown_until(at, zone) if is_end else shown_since(at, zone)
    if its == "DATETIME":
        return naive
    day = naive.date()
    is_whole = not is_end or naive == datetime(day.year, day.month, day.day)
    return day if is_whole else day + timedelta(days=1)


def _marker(origin: Origin, column: str) -> SchemaField:
    field = named(origin.fields, column)
    # The rows come under the table's spelling, by which their markers are found.
    if field is not None and field.name == column and type_name(field) in MARKERS and field.mode != REPEATED:
        return field
    usable = [one.name for one in origin.fields if type_name(one) in MARKERS and one.mode != REPEATED]
    if field is None:
        said = "is not in the table"
    else:
        said = "is no time" if field.name == column else f"is spelled {field.name!r} in the table"
        usable = [field.name] if field.name in usable else usable
    raise TableFailure(
        f"The marker column {column!r} {said}",
        remedy="Set change_detection.column"
        + (f" to one of {', '.join(usable)}" if usable else "")
        + ", or change_detection.strategy: hash",
        table=origin.id,
    )


def _pruned_by(origin: Origin, column: str) -> str:
    if origin.partitioned_by.casefold() == column.casefold():
        return "partition"
    return "clustering" if origin.clustered_by.casefold() == column.casefold() else "nothing"
