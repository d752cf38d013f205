"""A table's contract from the configuration to the rows, and what ``plan`` says of it before."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.pairs.test_memory_settings import USERS, Shop
from warp_resources import WarpConfig
from warp_resources.cli.planning import show_plan
from warp_resources.connectors.memory.destination import MemoryDestination
from warp_resources.errors import TableFailure
from warp_resources.model.capabilities import Capabilities
from warp_resources.model.tables import TableId


def drifting(**contract: str) -> Shop:
    """A table with a row of known types, and then three that drift."""
    shop = Shop({"mode": "batch"})
    shop.put(_id=1, n=1, x=1)
    shop.once()
    shop.put(_id=2, n=2, x="b", new=True)
    shop.put(_id=3, n=3, x={"deep": 1})
    shop.put(_id=4, n=4, x=4)
    content = shop.config.model_dump(mode="json", exclude_unset=True)
    content["schemas"][0]["contract"] = contract
    shop.config = WarpConfig.model_validate(content)
    return shop


def rows(shop: Shop) -> dict[int, dict[str, Any]]:
    found = shop.destination.rows(USERS)
    return {row["_id"]: {k: v for k, v in row.items() if v is not None and k in ("x", "new")} for row in found}


def planned(shop: Shop, capsys: pytest.CaptureFixture[str]) -> str:
    show_plan(shop.config, ["shop"], ())
    return capsys.readouterr().out


# SPEC: E3, E4, E6
@pytest.mark.parametrize(
    ("contract", "arrived", "letters", "discarded", "says"),
    [
        (
            {},
            {1: {"x": "1"}, 2: {"x": "b", "new": True}, 3: {}, 4: {"x": "4"}},
            [("drastic_change", "x")],
            {},
            ["add column new bool (new field)", "alter column x from int64 to text (int64 meets text)"],
        ),
        (
            {"new_columns": "discard", "type_changes": "json"},
            {1: {"x": "1"}, 2: {"x": '"b"'}, 3: {"x": '{"deep":1}'}, 4: {"x": "4"}},
            [],
            {"new": 1},
            ["alter column x from int64 to json (int64 meets json, text)", "new: 1 values of the sample would not"],
        ),
        (
            {"new_columns": "quarantine", "type_changes": "discard"},
            {1: {"x": 1}, 3: {}, 4: {"x": 4}},
            [("new_column_quarantined", None)],
            {"x": 1},
            ["the table stays as it is", "1 of 4 sampled rows"],
        ),
        (
            {"new_columns": "evolve", "type_changes": "quarantine"},
            {1: {"x": 1}, 4: {"x": 4}},
            [("type_change_quarantined", None), ("type_change_quarantined", None)],
            {},
            ["the table stays as it is", "2 of 4 sampled rows"],
        ),
    ],
    ids=["evolve", "discard and json", "quarantine and discard", "evolve and quarantine"],
)
def test_drift_by_contract(
    contract: dict[str, str],
    arrived: dict[int, dict[str, Any]],
    letters: list[tuple[str, str | None]],
    discarded: dict[str, int],
    says: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    shop = drifting(**contract)
    plan = planned(shop, capsys)
    assert [words for words in says if words not in plan] == []
    shop.once()
    assert rows(shop) == arrived
    assert [(kept.letter.reason, kept.letter.column) for kept in shop.letters] == letters
    [figures] = [its for its in shop.destination.statistics("shop") if its.table == USERS]
    assert {its.column: its.count for its in figures.discards if its.action == "discard"} == discarded


# SPEC: E3, E4
@pytest.mark.parametrize(
    ("contract", "says"),
    [
        ({"new_columns": "freeze"}, r"The table's columns are frozen, and new fields came: new \(bool\)"),
        ({"type_changes": "freeze"}, r"columns would change: x from int64 to text \(int64 meets text\)"),
    ],
    ids=str,
)
def test_a_frozen_table_stops_and_the_plan_says_so(
    contract: dict[str, str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = drifting(**contract)
    capsys.readouterr()
    show_plan(shop.config, ["shop"], (), as_json=True)
    [plan] = json.loads(capsys.readouterr().out)
    assert plan["changes"] == []
    assert "Set contract." in plan["stops"]
    assert "the table would stop: The table's" in planned(shop, capsys)
    with pytest.raises(TableFailure, match=says):
        shop.once()
    assert rows(shop) == {1: {"x": 1}}


# SPEC: E9; FAULTS: 15
def test_overflow_is_planned_and_survives_a_second_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(MemoryDestination, "capabilities", Capabilities(max_columns=63, refused_text=""))
    shop = Shop({"mode": "batch"})
    shop.put(_id=1, a=1, b=2, c=3)
    shop.once()
    shop.put(_id=2, b=4, d={"e": 5})
    assert "keep fields in _warp_overflow (no room for more columns: d)" in planned(shop, capsys)
    shop.once()
    found = {row["_id"]: row for row in shop.destination.rows(USERS)}
    assert [found[key]["_warp_overflow"] for key in (1, 2)] == ['{"c":3}', '{"d":{"e":5}}']
    assert [its.entry.column for its in shop.destination.store.contents.errors] == ["c", "d"]


# SPEC: E9
def test_tables_whose_names_differ_in_case_are_two(monkeypatch: pytest.MonkeyPatch) -> None:
    folding = replace(MemoryDestination.capabilities, case_sensitive=False)
    monkeypatch.setattr(MemoryDestination, "capabilities", folding)
    shop = Shop({})
    for name in ("users", "Users", "orders"):
        shop.server.put("shop", name, {"_id": name})
    shop.once()
    shop.server.put("shop", "USERS", {"_id": "USERS"})
    shop.once()
    stored = {name: its.stored_table for name, its in shop.destination.table_schemas("shop").items()}
    assert len({name.casefold() for name in stored.values()}) == len(stored) == 4
    assert stored["orders"] == "orders"
    assert all(its.casefold().startswith(name.casefold()) for name, its in stored.items())
    assert [row["_id"] for row in shop.destination.rows(TableId("shop", "USERS"))] == ["USERS"]
