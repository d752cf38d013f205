"""Schema names that the destination cannot have are refused before anything connects."""

from __future__ import annotations

from typing import Any

import pytest

from warp_resources.config import WarpConfig
from warp_resources.errors import ConfigurationError
from warp_resources.pipeline.options import open_destination

LONG = "x" * 64


def config(*names: str, **destination: Any) -> WarpConfig:
    return WarpConfig.model_validate(
        {
            "source": {"type": "memory"},
            "destination": {"type": "postgresql", "connection_string": "postgresql://me@h/d", **destination},
            "schemas": [{"name": name} for name in names],
        }
    )


# SPEC: C7
@pytest.mark.parametrize(
    ("name", "words"),
    [
        (LONG, "64 bytes; the destination allows 63"),
        ("é" * 32, "64 bytes; the destination allows 63"),
        ("pg_shop", "keeps pg_* and information_schema for itself"),
        ("information_schema", "keeps pg_* and information_schema for itself"),
        ("a\0b", "a character that the destination refuses"),
    ],
)
def test_a_name_that_would_be_cut_or_refused(name: str, words: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        open_destination(config("shop", name))
    assert words in str(refused.value)
    assert f"schemas.{name}.name: found {name!r}" in str(refused.value)
    assert f"database: {name}; or set destination.schema" in str(refused.value)
    with pytest.raises(ConfigurationError, match=r"destination\.schema: found"):
        open_destination(config("shop", schema=name))


@pytest.mark.parametrize("name", ["x" * 63, "pgshop", "PG_shop", "my pg_shop", "public"])
def test_a_name_that_it_can_have(name: str) -> None:
    open_destination(config(name)).close()


def test_all_land_where_destination_schema_says() -> None:
    open_destination(config(LONG, schema="landing")).close()


# SPEC: C7, Z4
def test_a_name_that_the_metadata_is_named_after() -> None:
    named = WarpConfig.model_validate(
        {
            "source": {"type": "memory"},
            "destination": {"type": "bigquery", "project": "p", "schema": "landing"},
            "schemas": [{"name": "it's"}],
        }
    )
    with pytest.raises(ConfigurationError, match=r"a character that the destination refuses; give it another name"):
        open_destination(named)
