"""Values in the type that a user declared: exact, rounded with a mark, or rejected; never changed in silence."""

from __future__ import annotations

import math
import uuid
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from warp_resources.arrow.declared import as_declared
from warp_resources.arrow.types import arrow_type
from warp_resources.config.column_types import column_type
from warp_resources.connectors.memory.columns import raw_columns
from warp_resources.model.tables import ColumnType, Kind

EXACT, ROUNDED, SIGN_LOST, REJECTED = "exact", "truncated", "altered", "rejected"
NOON = datetime(2024, 1, 2, 12, tzinfo=UTC)


def declare(value: Any, name: str) -> tuple[Any, str]:
    """What one value becomes under a declared type, and its fate."""
    [variant] = raw_columns([{"v": value}])[0].variants
    target = column_type(name)
    found = as_declared(variant.values, variant.type, target)
    assert found.values.type == arrow_type(target)
    fates = [fate for fate in (ROUNDED, SIGN_LOST, REJECTED) if getattr(found, fate)[0].as_py()]
    return found.values[0].as_py(), " ".join(fates) or EXACT


# SPEC: E3 E8 R1
@pytest.mark.parametrize(
    ("value", "name", "becomes", "fate"),
    [
        (1, "decimal(18,4)", "1.0000", EXACT),
        ("1.5", "decimal(18,4)", "1.5000", EXACT),
        (Decimal("1.50"), "decimal(18,4)", "1.5000", EXACT),
        (19999.5, "decimal(18,0)", "20000", ROUNDED),
        (Decimal("0.00005"), "decimal(18,4)", "0.0000", ROUNDED),
        (Decimal("0.00015"), "decimal(18,4)", "0.0002", ROUNDED),
        (Decimal("-0.00001"), "decimal(18,4)", "0.0000", ROUNDED),
        (-0.0, "decimal(18,4)", "0.0000", SIGN_LOST),
        (99999.5, "decimal(5,0)", None, REJECTED),
        (float("inf"), "decimal(5,0)", None, REJECTED),
        (float("nan"), "decimal(5,0)", "NaN", EXACT),
        (Decimal("1E+6000"), "decimal(38,2)", None, REJECTED),
        (1e308, "decimal(38,2)", None, REJECTED),
        ("0123", "decimal(18,4)", None, REJECTED),
        ("", "decimal(18,4)", None, REJECTED),
        (" 1", "int", None, REJECTED),
        (True, "decimal(18,4)", None, REJECTED),
        ("12.30", "numeric", "12.30", EXACT),
        (Decimal("-0.0"), "numeric", "0.0", SIGN_LOST),
        ("abc", "numeric", None, REJECTED),
        (2**31 - 1, "int", 2**31 - 1, EXACT),
        (2**31, "int", None, REJECTED),
        (-(2**15), "smallint", -(2**15), EXACT),
        (3.0, "int", 3, EXACT),
        (3.7, "int", None, REJECTED),
        (Decimal("3.00"), "int", 3, EXACT),
        (-0.0, "int", 0, SIGN_LOST),
        ("123", "bigint", 123, EXACT),
        ("9223372036854775808", "bigint", None, REJECTED),
        (2**53 + 1, "double", None, REJECTED),
        (2**53, "double", float(2**53), EXACT),
        (Decimal("0.10"), "double", 0.1, EXACT),
        (Decimal("0.12345678901234567890"), "double", None, REJECTED),
        ("-0", "double", -0.0, EXACT),
        (0.5, "real", 0.5, EXACT),
        (0.1, "real", pytest.approx(0.1), ROUNDED),
        (1e300, "real", None, REJECTED),
        (float("-inf"), "real", float("-inf"), EXACT),
        (NOON, "timestamp", NOON.replace(tzinfo=None), EXACT),
        (NOON.replace(tzinfo=None), "timestamptz", NOON, EXACT),
        (NOON, "date", date(2024, 1, 2), ROUNDED),
        (NOON.replace(hour=0), "date", date(2024, 1, 2), EXACT),
        (datetime(1969, 12, 31, 23, tzinfo=UTC), "date", date(1969, 12, 31), ROUNDED),
        (date(2024, 1, 2), "timestamptz", NOON.replace(hour=0), EXACT),
        ("2024-01-02T12:00:00Z", "timestamptz", NOON, EXACT),
        ("2024-01-02T12:00:00.000Z", "timestamptz", NOON, EXACT),
        ("2024-01-02", "date", date(2024, 1, 2), EXACT),
        ("2024-01-02T12:00:00.000Z", "date", date(2024, 1, 2), ROUNDED),
        ("2024-02-30", "date", None, REJECTED),
        ("2024-01-02 12:00", "timestamptz", None, REJECTED),
        (5, "timestamptz", None, REJECTED),
        ("12:30:00", "time", time(12, 30), EXACT),
        ("true", "boolean", True, EXACT),
        (1, "boolean", None, REJECTED),
        ("00000000-0000-0000-0000-000000000001", "uuid", uuid.UUID(int=1).bytes, EXACT),
        ("nope", "uuid", None, REJECTED),
        ("AP8=", "bytes", b"\x00\xff", EXACT),
        (3.0, "text", "3", EXACT),
        ({"a": 1}, "text", '{"a":1}', EXACT),
        ("x", "json", '"x"', EXACT),
        (-0.0, "json", "0", SIGN_LOST),
    ],
    ids=repr,
)
def test_a_value_under_a_declared_type(value: Any, name: str, becomes: Any, fate: str) -> None:
    found, its = declare(value, name)
    assert its == fate
    if isinstance(becomes, float) and math.copysign(1, becomes) < 0:
        assert math.copysign(1, found) < 0
    assert found == becomes
    assert type(found) is type(becomes) or isinstance(found, float)


@pytest.mark.parametrize("name", ["decimal(18,4)", "int", "date", "timestamptz", "real", "text", "json", "uuid"])
def test_nulls_stay_null(name: str) -> None:
    for its in (ColumnType(Kind.INT64), ColumnType(Kind.TEXT), ColumnType(Kind.TIMESTAMP_TZ, unit="ms")):
        found = as_declared(pa.nulls(2, arrow_type(its)), its, column_type(name))
        assert found.values.null_count == 2
        assert not any(mask.true_count for mask in (found.rejected, found.altered, found.truncated))


def test_dates_of_any_year() -> None:
    its = ColumnType(Kind.TIMESTAMP_TZ, unit="ms")
    values = pa.array([2**63 - 1, -(2**63), 0, None], pa.int64()).view(arrow_type(its))
    found = as_declared(values, its, ColumnType(Kind.DATE))
    assert found.rejected.to_pylist() == [True, True, False, False]
    assert found.values.view(pa.int32()).to_pylist() == [None, None, 0, None]
