"""What is refused by name until its feature is built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.config.configurations import load, minimal
from warp_resources.config.unsupported import UNSUPPORTED
from warp_resources.errors import ConfigurationError

BELOW = ("schemas.shop", "schemas.shop.tables.users")

REFUSED: list[tuple[str, list[Any]]] = [
    ("source.type", ["dynamodb", "mariadb", "mysql", "postgresql"]),
    ("destination.type", ["mariadb", "mysql"]),
    ("security.encryption_key", ["k3y"]),
    *((f"{level}.change_detection.strategy", ["trigger"]) for level in ("source", *BELOW)),
]


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in REFUSED for value in values])
def test_unbuilt_feature_is_refused_by_name(tmp_path: Path, key: str, value: object) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, minimal(), {}, {key: value})
    says = f"{value} is not supported yet" if isinstance(value, str) and value != "k3y" else "is not supported yet"
    assert f"{key}: {says}." in str(caught.value)
    assert "k3y" not in str(caught.value)


def test_the_table_and_this_test_agree() -> None:
    tested = {key.replace(".shop", ".*").replace(".users", ".*") for key, _ in REFUSED}
    assert tested == {line.key for line in UNSUPPORTED}


@pytest.mark.parametrize("key", ["source.type", "destination.type"])
def test_plug_ins_pass(tmp_path: Path, key: str) -> None:
    load(tmp_path, minimal(), {}, {key: "my_package.connector:Mine"})
