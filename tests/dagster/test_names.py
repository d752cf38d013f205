"""Names of tables and schemas as Dagster has them."""

from __future__ import annotations

import hashlib
import re

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warp_resources.dagster_bridge import keys
from warp_resources.model.tables import TableId


def digits(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:6]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("users", "users"),
        ("Users_2", "Users_2"),
        ("Odd Name", f"Odd_Name_{digits('Odd Name')}"),
        ("x/y", f"x_y_{digits('x/y')}"),
        ("x.y", f"x_y_{digits('x.y')}"),
        ("größe", f"gr__e_{digits('größe')}"),
        ("李", f"__{digits('李')}"),
        # Dagster refuses these though all characters are allowed.
        ("config", f"config_{digits('config')}"),
        ("class", f"class_{digits('class')}"),
    ],
)
def test_what_dagster_cannot_have_gets_a_hash(name: str, expected: str) -> None:
    # SPEC: D2
    assert keys.dagster_name(name) == expected


@given(st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=40))
def test_names_are_allowed_and_stay_apart(left: str, right: str) -> None:
    # SPEC: D2
    assert re.fullmatch(r"[A-Za-z0-9_]+", keys.dagster_name(left))
    assert (keys.dagster_name(left) == keys.dagster_name(right)) == (left == right)


@pytest.mark.parametrize("name", ["users", "Odd Name", "x/y", '"; drop table x; --', "a.b"])
def test_asset_keys_have_the_exact_names(name: str) -> None:
    # SPEC: D2
    table = TableId("My Shop", name)
    assert keys.asset_key(table) == dg.AssetKey(["My Shop", name])
    assert keys.table_of(keys.asset_key(table)) == table


def test_jobs_sensors_and_schedules_are_named_by_their_schema() -> None:
    # SPEC: D3
    assert (keys.sync_job("shop"), keys.resync_job("shop")) == ("sync_shop", "resync_shop")
    assert (keys.sync_schedule("shop"), keys.changes_sensor("shop")) == ("sync_shop_schedule", "changes_shop")
    assert keys.sync_job("x/y") == f"sync_x_y_{digits('x/y')}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("gold", "gold"), ("a b", "a_b"), ("x" * 80, "x" * 63), ("(secret)", "secret"), ("1.5-b", "1.5-b")],
)
def test_tags_keep_what_dagster_allows(text: str, expected: str) -> None:
    # SPEC: D2
    assert keys.tag_text(text) == expected
