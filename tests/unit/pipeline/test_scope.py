"""Which tables each mode of a schema covers."""

from __future__ import annotations

from typing import Any

import pytest

from warp_resources import WarpConfig
from warp_resources.pipeline.engine import Unit, units

BATCH_LOGS = {"logs": {"mode": "batch"}}
TABLES = ("users", "logs", "orders", "logs[1]")


def configured(**schema: Any) -> WarpConfig:
    return WarpConfig.model_validate(
        {"source": {"type": "memory"}, "destination": {"type": "memory"}, "schemas": [{"name": "shop", **schema}]}
    )


def covered(found: list[Unit]) -> dict[str, list[str]]:
    return {unit.mode: [name for name in TABLES if unit.scope.covers(name)] for unit in found}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({}, {"stream": [*TABLES]}),
        ({"tables": BATCH_LOGS}, {"stream": ["users", "orders", "logs[1]"], "batch": ["logs"]}),
        ({"tables": BATCH_LOGS, "table_whitelist": ["users"]}, {"stream": ["users"]}),
        ({"tables": BATCH_LOGS, "table_blacklist": ["logs"]}, {"stream": ["users", "orders", "logs[1]"]}),
        ({"tables": BATCH_LOGS, "table_blacklist": ["l*"]}, {"stream": ["users", "orders"]}),
        ({"tables": BATCH_LOGS, "table_whitelist": ["l*"]}, {"stream": ["logs[1]"], "batch": ["logs"]}),
        (
            {"tables": {**BATCH_LOGS, "orders": {"mode": "batch"}}, "table_whitelist": ["users", "orders"]},
            {"stream": ["users"], "batch": ["orders"]},
        ),
        (
            {"mode": "batch", "tables": {"logs": {"mode": "stream"}}, "table_whitelist": ["users"]},
            {"batch": ["users"]},
        ),
    ],
)
def test_the_lists_hold_for_a_table_of_another_mode(schema: dict[str, Any], expected: dict[str, list[str]]) -> None:
    # SPEC: M2
    assert covered(units(configured(**schema), "shop")) == expected


@pytest.mark.parametrize("mode", ["stream", "batch"])
def test_a_run_of_a_table_that_is_left_out_covers_nothing(mode: str) -> None:
    # SPEC: M2 L2
    config = configured(mode=mode, tables=BATCH_LOGS, table_whitelist=["users"])
    assert covered(units(config, "shop", ("logs",))) == {"batch": []}


def test_nested_values_have_the_form_that_each_table_wants() -> None:
    # SPEC: 2
    def extended(schema: str, **tables: str) -> dict[str, bool]:
        config = configured(json_format=schema, tables={name: {"json_format": its} for name, its in tables.items()})
        scope = Unit(config, "shop", "stream").scope
        return {name: scope.is_extended(name) for name in ("a", "a[b]", "others")}

    assert extended("plain") == {"a": False, "a[b]": False, "others": False}
    assert extended("plain", **{"a[b]": "extended"}) == {"a": False, "a[b]": True, "others": False}
    assert extended("extended", a="plain") == {"a": False, "a[b]": True, "others": True}
