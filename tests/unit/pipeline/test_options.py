"""Which store of leases a configuration means, without a connection to any."""

from __future__ import annotations

import pytest

from warp_resources import WarpConfig
from warp_resources.connectors.memory.destination import MemoryDestination, MemoryOptions
from warp_resources.connectors.memory.state import MemoryStateStore
from warp_resources.errors import ConfigurationError
from warp_resources.pipeline.options import open_state

DESTINATION = MemoryDestination(MemoryOptions(store="state"))


def configured(uri: str | None) -> WarpConfig:
    return WarpConfig.model_validate(
        {
            "source": {"type": "memory"},
            "destination": {"type": "memory", "store": "state"},
            "state": {"connection_string": uri},
            "schemas": [{"name": "shop"}],
        }
    )


def test_by_default_it_is_the_destinations() -> None:
    # SPEC: T9
    assert isinstance(open_state(configured(None), DESTINATION), MemoryStateStore)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
def test_a_postgresql_database_may_be_named(scheme: str) -> None:
    # SPEC: T9
    store = open_state(configured(f"{scheme}://ann:geheim@nowhere/state"), DESTINATION)
    assert not isinstance(store, MemoryStateStore)
    store.close()


@pytest.mark.parametrize("uri", ["mysql://ann:geheim@db/x", "sqlite:///geheim.db", "host=db password=geheim"])
def test_anything_else_is_refused(uri: str) -> None:
    # SPEC: T9 Z1
    with pytest.raises(ConfigurationError, match=r"state\.connection_string: .*PostgreSQL URI") as refused:
        configured(uri)
    assert "geheim" not in str(refused.value)


def test_a_uri_that_cannot_be_read_is_refused_without_being_quoted() -> None:
    # SPEC: T9 Z1
    with pytest.raises(ConfigurationError, match=r"state\.connection_string: ") as refused:
        open_state(configured("postgresql://ann:ge%heim@db/x"), DESTINATION)
    assert "heim@" not in str(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__context__ is None
