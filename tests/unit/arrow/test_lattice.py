"""The laws of the type lattice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warp_resources.arrow.lattice import INTEGERS, Fit, fit, join
from warp_resources.model.tables import ColumnType, Kind

PLAIN = [ColumnType(kind) for kind in Kind if kind not in (Kind.TIMESTAMP, Kind.TIMESTAMP_TZ)]
TIMES = [ColumnType(kind, unit=unit) for kind in (Kind.TIMESTAMP, Kind.TIMESTAMP_TZ) for unit in ("ms", "us")]
EXACT = [ColumnType(kind, exact=True) for kind in INTEGERS]
BOUNDED = [
    ColumnType(Kind.NUMERIC, precision=precision, scale=scale) for precision, scale in ((5, 2), (20, 0), (3, 3), (9, 4))
]
types = st.sampled_from([*PLAIN, *TIMES, *EXACT, *BOUNDED])

INT16, INT32, INT64 = map(ColumnType, INTEGERS)
EXACT64 = ColumnType(Kind.INT64, exact=True)
DOUBLE, NUMERIC, TEXT, JSON = map(ColumnType, (Kind.DOUBLE, Kind.NUMERIC, Kind.TEXT, Kind.JSON))
DATE, BOOL, UUID = map(ColumnType, (Kind.DATE, Kind.BOOL, Kind.UUID))
NAIVE, MILLIS, MICROS = TIMES[0], TIMES[2], TIMES[3]


@given(types, types)
def test_join_commutes(a: ColumnType, b: ColumnType) -> None:
    assert join(a, b) == join(b, a)


@given(types, types, types)
def test_join_associates(a: ColumnType, b: ColumnType, c: ColumnType) -> None:
    assert join(join(a, b), c) == join(a, join(b, c))


@given(types)
def test_join_is_idempotent(a: ColumnType) -> None:
    assert join(a, a) == a


@given(types, types)
def test_a_join_takes_both_exactly(a: ColumnType, b: ColumnType) -> None:
    assert fit(join(a, b), a) is Fit.EXACT
    assert fit(join(a, b), b) is Fit.EXACT


# SPEC: E2
@pytest.mark.parametrize(
    ("a", "b", "met"),
    [
        (INT16, INT32, ColumnType(Kind.INT32, exact=True)),
        (INT32, INT64, INT64),
        (INT32, EXACT64, EXACT64),
        (INT32, DOUBLE, DOUBLE),
        (EXACT64, DOUBLE, DOUBLE),
        (INT64, DOUBLE, NUMERIC),
        (ColumnType(Kind.FLOAT32), DOUBLE, DOUBLE),
        (EXACT64, ColumnType(Kind.FLOAT32), DOUBLE),
        (NUMERIC, DOUBLE, NUMERIC),
        (BOUNDED[0], BOUNDED[1], ColumnType(Kind.NUMERIC, precision=22, scale=2)),
        (BOUNDED[0], INT16, NUMERIC),
        (MILLIS, MICROS, MICROS),
        (NAIVE, MILLIS, TEXT),
        (DATE, MILLIS, TEXT),
        (BOOL, INT16, TEXT),
        (UUID, ColumnType(Kind.BINARY), TEXT),
        (JSON, TEXT, JSON),
        (JSON, INT64, JSON),
    ],
    ids=str,
)
def test_what_two_types_become(a: ColumnType, b: ColumnType, met: ColumnType) -> None:
    assert join(a, b) == met


# SPEC: E3, E6
@pytest.mark.parametrize(
    ("established", "incoming", "verdict"),
    [
        (INT64, INT16, Fit.EXACT),
        (INT16, INT64, Fit.WIDENING),
        (EXACT64, INT64, Fit.WIDENING),
        (TEXT, INT64, Fit.EXACT),
        (INT64, TEXT, Fit.CHECKED),
        (BOOL, INT64, Fit.CHECKED),
        (TEXT, JSON, Fit.DRASTIC),
        (INT64, JSON, Fit.DRASTIC),
        (JSON, INT64, Fit.EXACT),
    ],
    ids=str,
)
def test_how_values_fit(established: ColumnType, incoming: ColumnType, verdict: Fit) -> None:
    assert fit(established, incoming) is verdict
