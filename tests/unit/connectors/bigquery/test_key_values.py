"""Bounds of key ranges come back as the same values, as SQL that nothing can be smuggled into."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from google.cloud.bigquery import SchemaField

from warp_resources.connectors.bigquery.key_values import bound_text, key_columns, keys_parameter, literal
from warp_resources.errors import OperatorError


@pytest.mark.parametrize(
    ("its", "value", "written"),
    [
        ("INTEGER", -(2**63), 'cast("-9223372036854775808" as INT64)'),
        ("NUMERIC", Decimal("0.100"), 'cast("0.1" as NUMERIC)'),
        ("BIGNUMERIC", Decimal("1E-20"), 'cast("1e-20" as BIGNUMERIC)'),
        ("STRING", 'a"b\\c\n\x01é😀', '"a\\"b\\\\c\\n\\x01é😀"'),
        ("BYTES", b"\x00\xff", 'from_base64("AP8=")'),
        ("TIMESTAMP", datetime(2024, 1, 1, tzinfo=UTC), 'TIMESTAMP "2024-01-01T00:00:00Z"'),
        ("DATETIME", datetime(2024, 1, 1, 1, 2, 3, 4), 'DATETIME "2024-01-01T01:02:03.000004"'),
        ("DATE", date(1, 1, 1), 'DATE "0001-01-01"'),
    ],
)
def test_a_bound_as_sql(its: str, value: Any, written: str) -> None:
    # SPEC: Z4
    field = SchemaField('k"', its)
    assert literal(field, bound_text(field, value)) == written


@pytest.mark.parametrize("its", ["INTEGER", "BIGNUMERIC"])
@pytest.mark.parametrize("key", ["{", "[]", '{"other": 1}', '{"k": null}', '{"k": "text"}', '{"k": "1\\n"}'])
def test_a_key_that_cannot_be_read(key: str, its: str) -> None:
    with pytest.raises(OperatorError):
        key_columns([key], [SchemaField("k", its)])


def test_a_key_before_the_year_1000_is_sent_whole() -> None:
    # SPEC: E11
    fields = [SchemaField("k", "DATETIME"), SchemaField("n", "INTEGER")]
    columns = key_columns(['{"k": "0999-01-02T03:04:05.000006", "n": 1}'], fields)
    one = keys_parameter("keys", fields[:1], columns[:1]).to_api_repr()
    assert one["parameterValue"]["arrayValues"] == [{"value": "0999-01-02T03:04:05.000006"}]
    [both] = keys_parameter("keys", fields, columns).to_api_repr()["parameterValue"]["arrayValues"]
    assert both["structValues"]["k0"] == {"value": "0999-01-02T03:04:05.000006"}
