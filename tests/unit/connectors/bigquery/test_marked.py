"""The query of a tick compares the marker as it is, so that BigQuery can prune by it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from google.cloud.bigquery import SchemaField

from warp_resources.connectors.bigquery.catalog import Origin
from warp_resources.connectors.bigquery.marked import marked_query, marker_value
from warp_resources.connectors.interfaces import MarkedRange
from warp_resources.errors import TableFailure
from warp_resources.model.tables import TableId

SINCE, UNTIL = datetime(2024, 1, 2, tzinfo=UTC), datetime(2024, 1, 3, 12, tzinfo=UTC)


def origin(its: str) -> Origin:
    fields = (SchemaField("id", "INTEGER"), SchemaField("a`b", its))
    return Origin(TableId("shop", "t"), "p", "d", fields, ("id",), 1, 1, is_stored=True)


@pytest.mark.parametrize(
    ("marked", "condition"),
    [
        (MarkedRange("a`b", SINCE, None), " where (`a\\`b` >= @since) or `a\\`b` is null"),
        (MarkedRange("a`b", SINCE, UNTIL, unmarked=False), " where `a\\`b` >= @since and `a\\`b` < @until"),
        (MarkedRange("a`b", None, None, unmarked=False), " where `a\\`b` is not null"),
        (MarkedRange("a`b", None, None), ""),
    ],
)
def test_the_query_of_a_range(marked: MarkedRange, condition: str) -> None:
    script, parameters = marked_query(origin("TIMESTAMP"), marked)
    assert script == f"select `id`, `a\\`b` from `p`.`d`.`t`{condition}"
    assert [its.type_ for its in parameters] == ["TIMESTAMP"] * len(parameters)


def test_a_marker_is_spelled_as_the_table_spells_it() -> None:
    # SPEC: M2
    with pytest.raises(TableFailure, match=r"is spelled 'a`b' .* change_detection\.column to one of a`b,"):
        marked_query(origin("TIMESTAMP"), MarkedRange("A`B", SINCE, None))


def test_a_year_before_1000_is_sent_whole() -> None:
    # SPEC: M2
    _, [parameter] = marked_query(origin("DATETIME"), MarkedRange("a`b", datetime(1, 1, 1, tzinfo=UTC), None))
    assert parameter.to_api_repr()["parameterValue"] == {"value": "0001-01-01T00:00:00"}


@pytest.mark.parametrize(
    ("at", "its", "is_end", "value"),
    [
        (SINCE, "TIMESTAMP", False, SINCE),
        (SINCE, "DATETIME", False, datetime(2024, 1, 2)),
        (SINCE, "DATE", False, date(2024, 1, 2)),
        (datetime(2024, 1, 2, 23, 59, tzinfo=UTC), "DATE", False, date(2024, 1, 2)),
        (UNTIL, "DATE", True, date(2024, 1, 4)),
        (datetime(2024, 1, 2, 1, tzinfo=timezone(timedelta(hours=2))), "DATETIME", True, datetime(2024, 1, 1, 23)),
    ],
)
def test_a_time_as_a_marker(at: datetime, its: str, is_end: bool, value: object) -> None:
    assert marker_value(at, its, is_end=is_end) == value
