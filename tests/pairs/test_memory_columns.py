"""What the configuration does to columns, over the in-memory connectors: types, names, actions and rules."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.pairs.test_memory_settings import USERS, Shop
from warp_resources import WarpConfig
from warp_resources.config import TableSettings, effective
from warp_resources.errors import ConfigurationError, TableFailure, WarpError
from warp_resources.model.tables import ChangeKind, Column, TableId
from warp_resources.pipeline.dry_run import plan_unit
from warp_resources.pipeline.engine import Unit

SECRET = "s3cr3t"


def shop(columns: dict[str, Any] | None = None, *, like: Shop | None = None, **table: Any) -> Shop:
    """A shop whose table has these settings; ``like`` gives the server and store of another."""
    made = Shop({"mode": "batch", "tables": {"users": {"columns": columns or {}, **table}}})
    if like is None:
        return made
    content = made.config.model_dump(mode="json", exclude_unset=True)
    content["source"]["server"] = content["destination"]["store"] = like.name
    like.config = WarpConfig.model_validate(content)
    return like


def schema_columns(of: Shop) -> dict[str, Column]:
    return {column.name: column for column in of.destination.table_schemas("shop")["users"].columns}


def kinds(of: Shop) -> dict[str, str]:
    return {name: str(column.type) for name, column in schema_columns(of).items()}


def rows(of: Shop) -> dict[Any, dict[str, Any]]:
    return {row["_id"]: row for row in of.destination.rows(USERS)}


def last_changes(of: Shop) -> list[ChangeKind]:
    return [change.kind for change in of.destination.store.contents.tables[USERS].versions[-1].changes]


def settings(of: Shop) -> TableSettings:
    return effective(of.config, "shop", "users")


def test_declared_types_hold_from_the_first_row_and_whatever_comes() -> None:
    # SPEC: E3 E8 R1
    here = shop({"price": {"type": "decimal(6,2)"}, "n": {"type": "int"}, "day": {"type": "date"}})
    here.put(_id=1, price=1.0, n=1, day=datetime(2024, 1, 2))
    here.once()
    assert kinds(here) == {"_id": "int64", "price": "numeric(6,2)", "n": "int32", "day": "date"}
    here.put(_id=2, price="2.5", n="7", day="2024-01-03")
    here.put(_id=3, price=Decimal("1.005"), n="seven", day=datetime(2024, 1, 4, 12))
    here.put(_id=4, price={"no": 1}, n=2**40, day=None)
    here.once()
    assert kinds(here) == {"_id": "int64", "price": "numeric(6,2)", "n": "int32", "day": "date"}
    found = rows(here)
    assert [found[key]["price"] for key in (1, 2, 3, 4)] == [Decimal("1.00"), Decimal("2.50"), Decimal("1.00"), None]
    assert [found[key]["n"] for key in (1, 2, 3, 4)] == [1, 7, None, None]
    assert [str(found[key]["day"]) for key in (1, 2, 3)] == ["2024-01-02", "2024-01-03", "2024-01-04"]
    letters = sorted((its.letter.key_text, its.letter.column, its.letter.reason) for its in here.letters)
    assert letters == [
        ("3", "day", "truncation"),
        ("3", "n", "conversion"),
        ("3", "price", "truncation"),
        ("4", "n", "conversion"),
        ("4", "price", "drastic_change"),
    ]
    assert '"$numberDecimal": "1.005"' in here.letters[0].letter.record
    # All that came was declared, so that nothing is worth a warning.
    assert "type_conversion" not in here.error_types


def test_a_declared_type_of_an_established_column() -> None:
    # SPEC: E2 E3
    here = shop()
    here.put(_id=1, n=1, m=1)
    here.once()
    shop({"n": {"type": "text"}}, like=here)
    here.put(_id=2, n=2, m=2)
    here.once()
    assert kinds(here)["n"] == "text"
    assert [row["n"] for row in rows(here).values()] == ["1", "2"]
    shop({"n": {"type": "int"}}, like=here)
    here.put(_id=3, n=3, m=3)
    with pytest.raises(WarpError, match=r"column n is text and cannot become int32 without losing values"):
        here.once()
    shop({"n": {"type": "text"}, "m": {"type": "decimal(21,2)"}}, like=here)
    here.once()
    assert kinds(here)["m"] == "numeric(21,2)"


def test_columns_are_renamed_and_names_swapped() -> None:
    # SPEC: 2
    here = shop({"_id": {"rename": "user_id"}, "a": {"rename": "first"}})
    here.put(_id=1, a="a1", b="b1", first="f1")
    here.once()
    names = {name: column.stored for name, column in schema_columns(here).items()}
    assert (names["_id"], names["a"], names["b"]) == ("user_id", "first", "b")
    assert names["first"].startswith("first_")
    [row] = here.destination.rows(USERS)
    assert (row["user_id"], row["first"], row["b"], row[names["first"]]) == (1, "a1", "b1", "f1")

    shop({"_id": {"rename": "user_id"}, "a": {"rename": "b"}, "b": {"rename": "first"}}, like=here)
    here.put(_id=2, a="a2", b="b2")
    here.once()
    assert last_changes(here) == [ChangeKind.RENAME_COLUMN, ChangeKind.RENAME_COLUMN]
    found = {row["user_id"]: (row["b"], row["first"]) for row in here.destination.rows(USERS)}
    assert found == {1: ("a1", "b1"), 2: ("a2", "b2")}

    shop({"_id": {"rename": "b"}, "a": {"rename": "b2"}, "b": {"rename": "first"}}, like=here)
    here.put(_id=3)
    here.once()
    assert schema_columns(here)["_id"].stored == "b"


def test_a_name_that_another_column_has_is_refused() -> None:
    # SPEC: 2
    here = shop()
    here.put(_id=1, a=1, b=2)
    here.once()
    shop({"a": {"rename": "b"}}, like=here)
    here.put(_id=2, a=1)
    with pytest.raises(WarpError, match="column a cannot be renamed to 'b'"):
        here.once()


def test_actions_leave_nothing_and_are_counted_and_planned() -> None:
    # SPEC: T5 E8
    columns = {"ssn": {"action": "hash"}, "note": {"action": "drop"}, "pin": {"action": "mask", "rename": "pin_masked"}}
    here = shop({**columns, "n": {"type": "int"}})
    for number in range(3):
        here.put(_id=number, ssn=f"{SECRET}{number}", note={"x": SECRET}, pin=SECRET, n=f"{number}!")
    [plan] = plan_unit(Unit(here.config, "shop", "batch"), here.open_source(), here.destination)
    assert plan.stored is not None
    assert [column.stored for column in plan.stored.columns] == ["_id", "ssn", "pin_masked", "n"]
    here.once()
    found = rows(here)
    assert {row["pin_masked"] for row in found.values()} == {"***"}
    assert len({row["ssn"] for row in found.values()}) == 3
    assert len(here.letters) == 3
    assert SECRET not in repr(here.destination.store.contents)
    [figures] = [its for its in here.destination.statistics("shop") if its.table == USERS]
    assert {(its.column, its.action): its.count for its in figures.discards} == {
        ("ssn", "hash"): 3,
        ("note", "drop"): 3,
        ("pin", "mask"): 3,
    }


def test_what_was_there_is_hidden_by_a_resync() -> None:
    # SPEC: T5
    here = shop()
    here.put(_id=1, ssn=12345, note=SECRET)
    here.once()
    shop({"ssn": {"action": "hash"}, "note": {"action": "drop"}}, like=here)
    here.once(full_resync=True)
    assert kinds(here)["ssn"] == "text"
    assert len(rows(here)[1]["ssn"]) == 64
    assert rows(here)[1]["note"] is None


@pytest.mark.parametrize(
    ("columns", "table", "says"),
    [
        ({"_id": {"action": "hash"}}, {}, "columns._id of shop.users asks for hash, but the column is the key"),
        ({"_id": {"type": "text"}}, {}, "asks for type, but the column is the key"),
        ({"updated_at": {"action": "mask"}}, {}, "asks for mask, but the column is the marker"),
        ({}, {"transform": "no_such_module:f"}, "The transform no_such_module:f cannot be imported"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_read(
    columns: dict[str, Any], table: dict[str, Any], says: str
) -> None:
    # SPEC: 2
    here = shop(columns, **table)
    here.put(_id=1)
    with pytest.raises(ConfigurationError, match=says):
        here.once()
    assert not here.destination.table_schemas("shop")


def test_nested_values_as_extended_json() -> None:
    # SPEC: 2 E1
    here = shop(json_format="extended")
    here.put(_id=1, at={"x": Decimal("1.10")})
    here.server.put("shop", "others", {"_id": 1, "at": {"x": Decimal("1.10")}})
    here.once()
    assert rows(here)[1]["at"] == '{"x": {"$numberDecimal": "1.10"}}'
    assert shop(json_format="extended").config.schemas[0].json_format == "plain"


def test_rules_that_fail_stop_their_table(monkeypatch: pytest.MonkeyPatch) -> None:
    # SPEC: 2
    here = shop(transform="tests.pairs.business_rules:fail")
    here.put(_id=1, name=SECRET)
    with pytest.raises(TableFailure, match=r"business_rules:fail raised KeyError") as caught:
        here.once()
    assert SECRET not in str(caught.value)


def test_rules_and_types_work_together() -> None:
    # SPEC: 2 E3
    here = shop(
        {"ssn": {"action": "hash"}, "total": {"type": "decimal(10,2)", "rename": "amount"}},
        transform="tests.pairs.business_rules:total",
    )
    here.put(_id=1, price=2.5, count=2, ssn=SECRET)
    here.put(_id=2, price=None, count=2, ssn=None)
    here.once()
    assert [row["amount"] for row in rows(here).values()] == [Decimal("5.00"), None]
    assert kinds(here)["total"] == "numeric(10,2)"


def test_rules_that_fail_in_a_stream_leave_the_other_tables_alone() -> None:
    # SPEC: 2 M3
    here = Shop({"tables": {"users": {"transform": "tests.pairs.business_rules:fail"}}})
    here.server.put("shop", "others", {"_id": 1})
    here.once()
    here.put(_id=1, name=SECRET)
    here.server.put("shop", "others", {"_id": 2})
    with pytest.raises(WarpError, match="business_rules:fail raised KeyError") as caught:
        here.once()
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(here.destination.store.contents)
    assert [row["_id"] for row in here.destination.rows(TableId("shop", "others"))] == [1, 2]
    here.config = WarpConfig.model_validate(
        here.config.model_dump(mode="json", exclude_unset=True) | {"schemas": [{"name": "shop"}]}
    )
    here.once()
    assert rows(here)[1]["name"] == SECRET
