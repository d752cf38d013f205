"""A connector's own options, checked before anything connects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from tests.unit.config.configurations import load, minimal
from warp_resources.config import connector_options
from warp_resources.errors import ConfigurationError


class Options(BaseModel):
    model_config = ConfigDict(extra="forbid")

    connection_string: SecretStr
    schema_name: str | None = Field(None, alias="schema")
    transaction_timeout: float = 1
    connection_timeout: float = 1
    verify: str = "full"
    replica_count: int = 1
    password: str | None = None

    @model_validator(mode="after")
    def _odd(self) -> Options:
        if self.replica_count % 2 == 0:
            raise ValueError("choose an odd number of replicas")
        return self


def _options(folder: Path, **keys: Any) -> Options:
    tree = minimal()
    tree["destination"] |= keys
    return connector_options(load(folder, tree), "destination", Options)


# SPEC: C7
def test_connector_gets_common_and_own_keys(tmp_path: Path) -> None:
    found = _options(tmp_path, schema="landing", replica_count="3", password="s3cret", transaction_timeout="2m")
    assert found.connection_string.get_secret_value() == "postgresql://app:hunter2@db/warehouse"
    assert (found.schema_name, found.replica_count, found.password) == ("landing", 3, "s3cret")
    assert (found.transaction_timeout, found.connection_timeout) == (120, 30)
    assert found.verify == "full"


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"replica_cout": 1}, "destination.replica_cout: is not a known key; did you mean 'replica_count'?"),
        ({"pool_siz": 1}, "destination.pool_siz: is not a known key; did you mean 'pool_size'?"),
        ({"replica_count": "x"}, "destination.replica_count: found 'x'; a whole number is allowed"),
        ({"replica_count": 2}, "destination: found a mapping; choose an odd number of replicas."),
        ({"password": 5, "pasword": "s3cret"}, "destination.password: found a value that is not shown; a text"),
    ],
)
def test_wrong_options_are_refused(tmp_path: Path, keys: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        _options(tmp_path, **keys)
    assert says in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("written", "meant"), [(True, "full"), (False, "none"), ("false", "none"), ("ca", "ca"), (None, None)]
)
def test_verify_is_a_level_or_a_switch(tmp_path: Path, written: object, meant: str | None) -> None:
    tree = minimal()
    tree["source"]["verify"] = written
    assert load(tmp_path, tree).source.verify == meant
