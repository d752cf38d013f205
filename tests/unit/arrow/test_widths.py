"""How wide rows are said to be, against sizes that PostgreSQL shows."""

from __future__ import annotations

import pyarrow as pa
import pytest

from warp_resources.arrow.types import arrow_type
from warp_resources.arrow.widths import may_exceed, row_widths
from warp_resources.model.tables import ColumnType, Kind

DOUBLE, BOOL, TEXT, NUMERIC = map(ColumnType, (Kind.DOUBLE, Kind.BOOL, Kind.TEXT, Kind.NUMERIC))
# The header with the bits of up to 70 columns, and the engine's own.
START = 32 + 24


@pytest.mark.parametrize(
    ("its", "value", "bytes_each"),
    [
        (DOUBLE, 1.5, 8),
        (BOOL, True, 1),
        (TEXT, "a" * 15, 16),
        (TEXT, "é" * 100, 18),
        (ColumnType(Kind.JSON), "{}", 24),
        (NUMERIC, "12345678", 9),
        (DOUBLE, None, 0),
    ],
)
def test_the_width_of_many_values(its: ColumnType, value: object, bytes_each: int) -> None:
    column = (its, pa.array([None, value], arrow_type(its)))
    assert row_widths([column] * 64, 64, 2).to_pylist() == [START, START + 64 * bytes_each]


def test_values_are_aligned() -> None:
    flag, number = (BOOL, pa.array([True])), (DOUBLE, pa.array([1.5]))
    assert row_widths([flag, number] * 2, 64, 1).to_pylist() == [START + 4 * 8]


@pytest.mark.parametrize(("count", "expected"), [(300, False), (600, True)])
def test_few_columns_are_not_looked_at(count: int, expected: bool) -> None:
    assert may_exceed([TEXT] * count, count, 8160) is expected
