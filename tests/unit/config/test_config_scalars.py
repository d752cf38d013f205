"""Durations, sizes and URIs."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from warp_resources.config import duration_text, parse_duration, parse_size, size_text
from warp_resources.config.connections import endpoint_from_uri
from warp_resources.config.scalars import Cron
from warp_resources.errors import ConfigurationError


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (5, 5),
        (0.25, 0.25),
        ("5", 5),
        ("0.5", 0.5),
        ("500ms", 0.5),
        ("2s", 2),
        ("5m", 300),
        ("1h", 3600),
        ("90d", 90 * 86400),
        ("1w", 7 * 86400),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        (" 2 s ", 2),
        ("0s", 0),
        (timedelta(seconds=3), 3),
    ],
)
def test_durations(value: object, seconds: float) -> None:
    assert parse_duration(value) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "value",
    ["", "5x", "-5", "m5", "5 5m", "1e3", "٥s", True, None, -1, float("nan"), float("inf"), 1e300, "9" * 40 + "d", []],
)
def test_what_is_no_duration(value: object) -> None:
    with pytest.raises(PydanticCustomError):
        parse_duration(value)


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=36_500)))
def test_durations_read_back(value: timedelta) -> None:
    rounded = timedelta(milliseconds=value // timedelta(milliseconds=1))
    assert parse_duration(duration_text(rounded)) == rounded


@pytest.mark.parametrize(
    ("value", "count"),
    [(1, 1), ("384MB", 384_000_000), ("384Mi", 384 * 2**20), ("1GiB", 2**30), ("1.5 kb", 1500), ("7", 7), ("8b", 8)],
)
def test_sizes(value: object, count: int) -> None:
    assert parse_size(value) == count


@pytest.mark.parametrize("value", ["", "MB", "-1MB", "1XB", 0, -1, 1.5, True, None, "0MB"])
def test_what_is_no_size(value: object) -> None:
    with pytest.raises(PydanticCustomError):
        parse_size(value)


@given(st.integers(min_value=1, max_value=2**50))
def test_sizes_read_back(value: int) -> None:
    assert parse_size(size_text(value)) == value


@pytest.mark.parametrize(
    ("expression", "is_cron"),
    [
        ("*/15 * * * *", True),
        ("0 3 * mar fri", True),
        ("@daily", True),
        ("@reboot", False),
        ("* * * *", False),
        ("0 * * * * *", False),
        ("R * * * *", False),
        ("0 0 31 2 *", False),
        ("every day", False),
    ],
)
def test_schedules_are_what_dagster_can_run(expression: str, is_cron: bool) -> None:
    if is_cron:
        assert TypeAdapter(Cron).validate_python(expression) == expression
        return
    with pytest.raises(ValidationError):
        TypeAdapter(Cron).validate_python(expression)


# SPEC: L1
@pytest.mark.parametrize(
    ("uri", "found"),
    [
        ("mongodb://localhost:27017/ecommerce", {"type": "mongodb", "database": "ecommerce"}),
        ("mongodb+srv://u:p@db/?w=1", {"type": "mongodb"}),
        ("postgres://db/ware%20house", {"type": "postgresql", "database": "ware house"}),
    ],
)
def test_uri_says_type_and_database(uri: str, found: dict[str, str]) -> None:
    assert endpoint_from_uri(uri) == {**found, "connection_string": uri}


# SPEC: Z1
@pytest.mark.parametrize(
    "uri",
    ["localhost:27017", "", "s3cret", "http://[s3cret", "mongodb://me:s3cret/db", "mongodb://me:1/s3cret@db/shop"],
)
def test_what_is_no_uri_is_refused_unseen(uri: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        endpoint_from_uri(uri)
    assert "s3cret" not in str(caught.value)
