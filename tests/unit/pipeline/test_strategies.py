"""A source is asked for those ways of detecting changes only that it has."""

from __future__ import annotations

from typing import Any

import pytest

from warp_resources.config import WarpConfig
from warp_resources.errors import ConfigurationError
from warp_resources.model.capabilities import SourceCapabilities
from warp_resources.pipeline.strategies import demand_strategies

BY_QUERY = SourceCapabilities(frozenset({"timestamp", "hash"}))
LOG_ONLY = SourceCapabilities(frozenset({"log"}))


def config(**schema: Any) -> WarpConfig:
    return WarpConfig.model_validate(
        {"source": {"type": "memory"}, "destination": {"type": "memory"}, "schemas": [{"name": "shop", **schema}]}
    )


@pytest.mark.parametrize("strategy", ["timestamp", "hash"])
def test_what_the_source_has_is_allowed(strategy: str) -> None:
    its = config(mode="batch", change_detection={"strategy": strategy})
    demand_strategies(its, "shop", "batch", BY_QUERY)


def test_a_stream_without_a_log_is_refused_with_what_there_is() -> None:
    # SPEC: M2
    with pytest.raises(ConfigurationError) as caught:
        demand_strategies(config(), "shop", "stream", BY_QUERY)
    assert "schemas.shop.mode: found 'stream', but a memory source has no log" in str(caught.value)
    assert "mode: batch is allowed, with strategy hash or timestamp" in str(caught.value)


def test_a_single_table_is_named() -> None:
    its = config(mode="batch", tables=[{"name": "users", "mode": "stream"}])
    demand_strategies(its, "shop", "batch", BY_QUERY)
    with pytest.raises(ConfigurationError, match=r"schemas\.shop\.tables\.users\.mode"):
        demand_strategies(its, "shop", "stream", BY_QUERY)


def test_another_strategy_is_refused_by_its_name() -> None:
    its = config(mode="batch", change_detection={"strategy": "hash"})
    with pytest.raises(ConfigurationError, match=r"change_detection\.strategy: found 'hash'.*log is allowed"):
        demand_strategies(its, "shop", "batch", LOG_ONLY)
