"""Python values become one variant per type, exactly."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pytest

from warp_resources.connectors.memory.columns import plain_json, raw_columns
from warp_resources.errors import OperatorError
from warp_resources.model.tables import Kind

MOMENT = datetime(2024, 2, 29, 12, 30, 1, 5, tzinfo=UTC)
SOME_UUID = uuid.UUID("12345678-1234-5678-1234-567812345678")


@pytest.mark.parametrize(
    ("value", "kind", "carried"),
    [
        (True, Kind.BOOL, True),
        (-(2**63), Kind.INT64, -(2**63)),
        (2**63, Kind.NUMERIC, "9223372036854775808"),
        (-0.0, Kind.DOUBLE, -0.0),
        (Decimal("1.10"), Kind.NUMERIC, "1.10"),
        ("", Kind.TEXT, ""),
        (b"\x00", Kind.BINARY, b"\x00"),
        (SOME_UUID, Kind.UUID, SOME_UUID.bytes),
        (MOMENT, Kind.TIMESTAMP_TZ, MOMENT),
        (MOMENT.replace(tzinfo=None), Kind.TIMESTAMP, MOMENT.replace(tzinfo=None)),
        (date(2024, 2, 29), Kind.DATE, date(2024, 2, 29)),
        (time(23, 59), Kind.TIME, time(23, 59)),
        ({"a": [1]}, Kind.JSON, '{"a":[1]}'),
        ([], Kind.JSON, "[]"),
    ],
    ids=repr,
)
def test_each_value_has_one_type(value: Any, kind: Kind, carried: Any) -> None:
    (column,) = raw_columns([{"field": value}])
    (variant,) = column.variants
    assert variant.type.kind is kind
    assert variant.values.to_pylist() == [carried]


def test_types_that_mix_are_disjoint_variants() -> None:
    rows = [{"a": 1}, {"a": "x"}, {"b": None}, {"a": None}, {"a": 2}]
    mixed, empty = raw_columns(rows)
    assert (mixed.name, empty.name, empty.variants) == ("a", "b", ())
    assert {variant.type.kind: variant.values.to_pylist() for variant in mixed.variants} == {
        Kind.INT64: [1, None, None, None, 2],
        Kind.TEXT: [None, "x", None, None, None],
    }


@pytest.mark.parametrize(("values", "is_exact"), [([1, 2**53], True), ([1, 2**53 + 1], False)])
def test_integers_say_whether_a_double_shows_them_all(values: list[int], is_exact: bool) -> None:
    (column,) = raw_columns([{"a": value} for value in values])
    assert column.variants[0].type.exact is is_exact


def test_a_foreign_class_is_refused() -> None:
    with pytest.raises(OperatorError, match="cannot hold a set"):
        raw_columns([{"a": {1}}])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"n": Decimal("1.10"), "big": 2**70}, '{"n":1.10,"big":1180591620717411303424}'),
        ([float("nan"), float("-inf"), 3.0], '["NaN","-Infinity",3]'),
        ([None, True, "é\n"], '[null,true,"é\\n"]'),
        ([b"\x00\xff", SOME_UUID], f'["AP8=","{SOME_UUID}"]'),
        ([MOMENT, date(2024, 2, 29)], '["2024-02-29T12:30:01.000005Z","2024-02-29"]'),
    ],
    ids=repr,
)
def test_nested_values_are_canonical_json(value: Any, text: str) -> None:
    assert plain_json(value) == text
