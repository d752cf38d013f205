"""The batch marker: the largest value seen of a table's marker column, as a position."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from warp_resources.errors import OperatorError
from warp_resources.model.batches import TableBatch
from warp_resources.model.local_times import earliest_moment, shown_since
from warp_resources.model.positions import Position
from warp_resources.model.tables import Kind

_TIMES = (Kind.TIMESTAMP_TZ, Kind.TIMESTAMP, Kind.DATE)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = datetime(9999, 12, 31, tzinfo=UTC)
_UTC = "UTC"


def highest(batch: TableBatch, column: str, zone: str = _UTC) -> Position | None:
    """The largest time in a batch's marker column, None where it has none; those without a zone are local times."""
    found: Position | None = None
    for raw in batch.columns:
        if raw.name != column:
            continue
        for variant in raw.variants:
            if variant.type.kind in _TIMES:
                at = _time(pc.max(variant.values))
                if at is not None and variant.type.kind is not Kind.TIMESTAMP_TZ:
                    at = earliest_moment(at.replace(tzinfo=None), zone)
                found = later(found, None if at is None else marker_at(column, at, zone))
    return found


def later(left: Position | None, right: Position | None) -> Position | None:
    """The later of two markers; ISO text in one width, so it sorts as the times do."""
    if left is None or right is None:
        return left if right is None else right
    return left if str(left["value"]) >= str(right["value"]) else right


def capped(marker: Position | None, at: datetime) -> Position | None:
    """A marker no later than a time, so that one row dated in the future hides none after it."""
    if marker is None:
        return None
    return marker if time_of(marker) <= at else {**marker, "value": _text(at)}


def marker_at(column: str, at: datetime, zone: str = _UTC) -> Position:
    """The marker that stands at a time; it names the zone of times without one, unless that is UTC."""
    return {"column": column, "value": _text(at), **({} if zone == _UTC else {"zone": zone})}


def in_zone(marker: Position, zone: str) -> Position:
    """A marker for another zone, before which no clock of its own zone had shown anything that it did not count.

    Times without a zone now stand for other moments; the marker may only go back, for the sake of those that have one.
    """
    before = str(marker.get("zone", _UTC))
    at = time_of(marker)
    if before == zone:
        return marker
    try:
        ZoneInfo(before)
    except (KeyError, ValueError, OSError):
        raise _no_time() from None
    return marker_at(str(marker["column"]), min(at, earliest_moment(shown_since(at, before), zone)), zone)


def time_of(marker: Position) -> datetime:
    """The time at which a marker stands.

    Raises:
        OperatorError: it is not one that ``marker_at`` made.
    """
    try:
        at = datetime.fromisoformat(str(marker.get("value")))
        in_utc = at.astimezone(UTC) if at.tzinfo is not None else None
    except (ValueError, OverflowError):
        in_utc = None
    if in_utc is None:
        raise _no_time()
    return in_utc


def _no_time() -> OperatorError:
    return OperatorError(
        "The marker of a batch table has no time with a zone",
        remedy="Set it anew: cartridge-warp markers set <schema>.<table>"
        ' \'{"column": "updated_at", "value": "2024-05-01T00:00:00+00:00"}\'',
    )


def _time(value: pa.Scalar) -> datetime | None:
    if not value.is_valid:
        return None
    unit = value.type.unit if pa.types.is_timestamp(value.type) else "us"
    microseconds = value.cast(pa.timestamp("us")).value if not pa.types.is_timestamp(value.type) else value.value
    if pa.types.is_timestamp(value.type):
        microseconds *= {"s": 1_000_000, "ms": 1_000, "us": 1}.get(unit, 1)
    lowest, largest = (datetime.min.replace(tzinfo=UTC) - _EPOCH), (_LAST - _EPOCH)
    bounded = min(max(microseconds, lowest // timedelta(microseconds=1)), largest // timedelta(microseconds=1))
    return _EPOCH + timedelta(microseconds=bounded)


def _text(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f+00:00").rjust(32, "0")
