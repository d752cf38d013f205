"""What is known of a table decides whether it can be read at all."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from google.cloud import bigquery

from warp_resources.connectors.bigquery.catalog import Catalog
from warp_resources.connectors.interfaces import SourceScope
from warp_resources.errors import TableFailure

SCOPE = SourceScope("shop", "shop", keys=(("*", ("id",)),))
FINE = {"name": "at", "type": "TIMESTAMP", "timestampPrecision": "12"}


def catalog(*fields: dict[str, Any]) -> Catalog:
    its = {"tableReference": {"projectId": "p", "datasetId": "shop", "tableId": "t"}, "type": "TABLE"}
    table = bigquery.Table.from_api_repr({**its, "schema": {"fields": [{"name": "id", "type": "INTEGER"}, *fields]}})
    session: Any = SimpleNamespace(project="p", table=lambda name: table)
    return Catalog(session)


@pytest.mark.parametrize(
    "field", [FINE, {"name": "r", "type": "RECORD", "fields": [{**FINE, "timestampPrecision": 12}]}]
)
def test_times_that_would_lose_digits_stop_their_table(field: dict[str, Any]) -> None:
    # SPEC: E8
    with pytest.raises(TableFailure, match=r"TIMESTAMP\(12\).* cast\(... as string\)"):
        catalog(field).origin(SCOPE, "t")


def test_times_of_microseconds_are_read() -> None:
    assert catalog({"name": "at", "type": "TIMESTAMP"}).origin(SCOPE, "t") is not None
