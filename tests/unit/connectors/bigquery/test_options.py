"""What a connection string may name."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from warp_resources.connectors.bigquery.options import BigQueryDestinationOptions, BigQuerySourceOptions


@pytest.mark.parametrize("database", ["shop", None])
def test_the_project_and_the_location_come_from_the_connection_string(database: str | None) -> None:
    # SPEC: C7
    options = BigQuerySourceOptions.model_validate(
        {"connection_string": f"bigquery://my-project/{database or ''}?location=EU", "database": database}
    )
    assert (options.project_id, options.place, options.database) == ("my-project", "EU", database)


@pytest.mark.parametrize("database", ["crm", None])
def test_a_dataset_that_only_the_connection_string_names_is_refused(database: str | None) -> None:
    # SPEC: C7
    with pytest.raises(ValidationError, match="`database: shop`"):
        BigQuerySourceOptions.model_validate({"connection_string": "bigquery://p/shop", "database": database})


def test_a_destination_has_a_dataset_per_schema() -> None:
    # SPEC: C7
    with pytest.raises(ValidationError, match="`schema` if all are to be in one"):
        BigQueryDestinationOptions.model_validate({"connection_string": "bigquery://p/shop"})
