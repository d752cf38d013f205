"""Positions that a user gives, without a server."""

from __future__ import annotations

import pytest

from warp_resources import WarpConfig
from warp_resources.cli.positions import batch_marker, position_in
from warp_resources.errors import ConfigurationError
from warp_resources.model.tables import TableId

ACCOUNTS = TableId("crm", "accounts")
CONFIG = WarpConfig.model_validate(
    {
        "source": {"type": "memory", "change_detection": {"column": "changed"}},
        "destination": {"type": "memory"},
        "schemas": [{"name": "crm", "mode": "batch"}],
    }
)


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("2024-05-01T00:00:00+00:00", "2024-05-01T00:00:00.000000+00:00"),
        ("2024-05-01T02:00:00.5+02:00", "2024-05-01T00:00:00.500000+00:00"),
        ("2024-05-01 00:00Z", "2024-05-01T00:00:00.000000+00:00"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000000+00:00"),
    ],
)
def test_a_batch_marker_gets_the_form_that_a_run_writes(given: str, stored: str) -> None:
    # SPEC: T1
    marker = batch_marker(CONFIG, ACCOUNTS, {"column": "changed", "value": given})
    assert marker == {"column": "changed", "value": stored}


@pytest.mark.parametrize(
    "text",
    [
        '{"value": "2024-05-01T00:00:00+00:00"}',
        '{"column": "updated_at", "value": "2024-05-01T00:00:00+00:00"}',
        '{"column": "changed", "value": "2024-05-01"}',
        '{"column": "changed", "value": "2024-05-01T00:00:00"}',
        '{"column": "changed", "value": "0001-01-01T00:00:00+05:00"}',
        '{"column": "changed", "value": null}',
        '{"column": "changed", "value": "2024-05-01T00:00:00Z", "time": 1}',
        "{}",
    ],
)
def test_what_is_no_batch_marker_is_refused_with_the_form(text: str) -> None:
    # SPEC: T1, L3
    with pytest.raises(ConfigurationError, match='"column": "changed"'):
        batch_marker(CONFIG, ACCOUNTS, position_in(text))


@pytest.mark.parametrize("text", ["now", "[]", "1", '{"a"'])
def test_what_is_no_object_is_refused(text: str) -> None:
    # SPEC: L3
    with pytest.raises(ConfigurationError, match="position is no JSON"):
        position_in(text)
