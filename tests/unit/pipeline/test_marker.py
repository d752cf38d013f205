"""The batch marker as a pure value."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from warp_resources.errors import OperatorError
from warp_resources.model.batches import RawColumn, TableBatch, Variant
from warp_resources.model.tables import ColumnType, Kind, TableId
from warp_resources.pipeline.marker import capped, highest, in_zone, later, marker_at, time_of


def batch(values: pa.Array, kind: Kind = Kind.TIMESTAMP_TZ, name: str = "updated_at") -> TableBatch:
    column = RawColumn(name, (Variant(ColumnType(kind, unit="ms"), values),))
    return TableBatch(TableId("crm", "accounts"), ("_id",), (column,), len(values))


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        ([0, None, 1], "1970-01-01T00:00:00.001000+00:00"),
        ([-62135596800000], "0001-01-01T00:00:00.000000+00:00"),
        ([-(2**62)], "0001-01-01T00:00:00.000000+00:00"),
        ([2**62], "9999-12-31T00:00:00.000000+00:00"),
        ([1714521600123], "2024-05-01T00:00:00.123000+00:00"),
    ],
    ids=str,
)
def test_highest_is_the_largest_time_within_what_a_clock_can_show(milliseconds: list[int], text: str) -> None:
    # SPEC: M2
    position = highest(batch(pa.array(milliseconds, pa.timestamp("ms", "UTC"))), "updated_at")
    assert position == {"column": "updated_at", "value": text}
    assert len(text) == 32


@pytest.mark.parametrize(
    "values", [pa.array([None], pa.timestamp("ms", "UTC")), pa.array([], pa.timestamp("ms", "UTC"))]
)
def test_highest_of_no_times_is_none(values: pa.Array) -> None:
    assert highest(batch(values), "updated_at") is None
    assert highest(batch(pa.array([5], pa.timestamp("ms", "UTC")), name="other"), "updated_at") is None
    assert highest(batch(pa.array(["2024"]), Kind.TEXT), "updated_at") is None


def test_later_and_capped() -> None:
    # FAULTS: 24
    early = highest(batch(pa.array([0], pa.timestamp("ms", "UTC"))), "updated_at")
    late = highest(batch(pa.array([10**12], pa.timestamp("ms", "UTC"))), "updated_at")
    assert later(early, late) == later(late, early) == late
    assert later(None, late) == later(late, None) == late
    now = datetime(1980, 1, 1, tzinfo=UTC)
    held = capped(late, now)
    assert held is not None
    assert time_of(held) == now
    assert capped(early, now) == early
    assert capped(early, now - timedelta(days=20_000)) != early
    assert capped(None, now) is None


# SPEC: M2
@pytest.mark.parametrize(
    ("values", "kind", "moment"),
    [
        (pa.array([1721037600000], pa.timestamp("ms")), Kind.TIMESTAMP, datetime(2024, 7, 15, 8, tzinfo=UTC)),
        (pa.array([datetime(2024, 10, 27, 2, 30)], pa.timestamp("us")), Kind.TIMESTAMP, datetime(2024, 10, 27, 0, 30)),
        (pa.array([datetime(2024, 7, 15)], pa.date32()), Kind.DATE, datetime(2024, 7, 14, 22)),
        (pa.array([1721037600000], pa.timestamp("ms", "UTC")), Kind.TIMESTAMP_TZ, datetime(2024, 7, 15, 10)),
    ],
    ids=str,
)
def test_times_without_a_zone_are_local_times(values: pa.Array, kind: Kind, moment: datetime) -> None:
    marker = highest(batch(values, kind), "updated_at", "Europe/Berlin")
    assert marker is not None
    assert (time_of(marker), marker["zone"]) == (moment.replace(tzinfo=UTC), "Europe/Berlin")


# SPEC: M2 T7
def test_a_marker_of_another_zone_only_goes_back() -> None:
    noon = datetime(2024, 7, 15, 12, tzinfo=UTC)
    plain = marker_at("at", noon)
    assert plain.keys() == {"column", "value"}
    assert in_zone(plain, "UTC") == plain
    # Noon on clocks of Berlin is ten o'clock, on those of New York it would be later.
    assert in_zone(plain, "Europe/Berlin") == marker_at("at", noon - timedelta(hours=2), "Europe/Berlin")
    assert in_zone(plain, "America/New_York") == marker_at("at", noon, "America/New_York")
    back = in_zone(marker_at("at", noon, "America/New_York"), "UTC")
    assert back == marker_at("at", noon - timedelta(hours=4))
    with pytest.raises(OperatorError, match="markers set"):
        in_zone({**plain, "zone": "Mars/Olympus"}, "UTC")
