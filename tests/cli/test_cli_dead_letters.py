"""Dead letters and errors from the command line, on real servers: looked at, mended, replayed, given up."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cli.conftest import Warp, execute, query
from tests.fixtures.servers import MongoDatabase

pytestmark = pytest.mark.servers

STATUSES = "select reason, status, count(*) from cartridge_warp_metadata.dead_letters group by 1, 2 order by 1, 2"


@pytest.fixture
def drifted(shop: Warp, mongo_db: MongoDatabase) -> Warp:
    """A shop with two users whose name became an object, which a column of text cannot hold."""
    shop.ok("run", "--once")
    for number in (1, 2):
        mongo_db.database.users.update_one({"_id": number}, {"$set": {"name": {"first": "Ada"}}})
    shop.ok("run", "--once")
    return shop


# SPEC: L4, T5, E6
def test_letters_are_listed_shown_and_discarded(drifted: Warp, warehouse: str) -> None:
    found = drifted.json("dead-letters", "list", "--json")
    assert [(one["table"], one["column"], one["reason"], one["attempts"]) for one in found] == [
        ("users", "name", "drastic_change", 0)
    ] * 2
    number = str(found[0]["id"])
    text = drifted.ok("dead-letters", "list", "--table", "shop.users")
    assert number in text
    assert "Ada" not in text
    shown = drifted.ok("dead-letters", "show", number)
    assert '"first": "Ada"' in shown
    assert "No dead letters" in drifted.run("dead-letters", "list", "--reason", "unique").stderr
    assert drifted.json("dead-letters", "list", "--status", "replayed", "--json") == []
    assert "1 discarded" in drifted.ok("dead-letters", "discard", number, "--yes")
    assert query(warehouse, STATUSES) == [("drastic_change", "discarded", 1), ("drastic_change", "pending", 1)]
    assert f"letter {number} is discarded already" in drifted.refused("dead-letters", "replay", number, code=1)
    drifted.refused("dead-letters", "replay", code=2)
    drifted.refused("dead-letters", "list", "--status", "lost", code=2)
    drifted.refused("dead-letters", "show", "999999", code=1)


# SPEC: L3, E6
def test_a_replay_says_why_it_is_in_vain_and_works_once_the_column_is_widened(
    drifted: Warp, settings: dict[str, Any], warehouse: str, mongo_db: MongoDatabase
) -> None:
    mongo_db.database.users.update_one({"_id": 2}, {"$set": {"name": "mended"}})
    drifted.ok("run", "--once")
    said = drifted.refused("dead-letters", "replay", "--all", code=1)
    assert "0 replayed" in said
    assert "1 drastic_change: " in said
    assert "type_changes: json" in said
    settings["schemas"][0]["tables"] = {"users": {"contract": {"type_changes": "json"}}}
    drifted.write(settings)
    assert "1 replayed" in drifted.ok("dead-letters", "replay", "--table", "shop.users")
    assert query(warehouse, "select _id, name from shop.users where _id in (1, 2, 3) order by 1") == [
        (1, {"first": "Ada"}),
        (2, "mended"),
        (3, "user 3"),
    ]
    assert query(warehouse, STATUSES) == [("drastic_change", "replayed", 1), ("drastic_change", "superseded", 1)]
    assert "No dead letters" in drifted.run("dead-letters", "replay", "--all").stderr


# SPEC: R2, L3 FAULTS: 20
def test_children_wait_for_their_parents_and_a_row_for_the_lifted_limit(
    shop: Warp, settings: dict[str, Any], warehouse: str, mongo_db: MongoDatabase
) -> None:
    database = mongo_db.database
    settings["schemas"][0]["table_whitelist"].append("bills")
    shop.write(settings)
    database.bills.insert_one({"_id": 0, "order": 0})
    database.orders.update_many({}, {"$set": {"user": 0}})
    shop.ok("run", "--once")
    execute(
        warehouse,
        'alter table shop.orders add constraint known_user foreign key ("user") references shop.users (_id)',
        'alter table shop.bills add constraint known_order foreign key ("order") references shop.orders (_id)',
        "alter table shop.users add constraint sane check (n < 1000)",
    )
    database.bills.insert_one({"_id": 100, "order": 100})
    database.orders.insert_many([{"_id": 100, "user": 100}, {"_id": 101, "user": 101}])
    database.users.insert_one({"_id": 101, "name": "too much", "n": 5000})
    shop.ok("run", "--once")
    assert query(warehouse, STATUSES) == [("check", "pending", 1), ("foreign_key", "pending", 3)]
    assert "constraint" in shop.refused("dead-letters", "replay", "--reason", "check", code=1)
    database.users.insert_one({"_id": 100, "name": "parent", "n": 1})
    shop.ok("run", "--once")
    assert query(warehouse, 'select "user" from shop.orders where _id = 100') == [(100,)]
    assert query(warehouse, 'select "order" from shop.bills where _id = 100') == [(100,)]
    execute(warehouse, "alter table shop.users drop constraint sane")
    # Orders come before users, and yet one command is enough.
    assert "2 replayed, 0 superseded by what came later, 0 still" in shop.ok("dead-letters", "replay", "--all")
    assert query(warehouse, "select n from shop.users where _id = 101") == [(5000,)]
    assert query(warehouse, 'select "user" from shop.orders where _id = 101') == [(101,)]
    assert query(warehouse, STATUSES) == [("check", "replayed", 1), ("foreign_key", "replayed", 3)]


# SPEC: T4, L4
def test_errors_tell_what_was_set_aside(drifted: Warp) -> None:
    found = drifted.json("errors", "--json")
    assert {(one["table"], one["type"], one["column"]) for one in found} == {("users", "drastic_change", "name")}
    assert "value set aside" in drifted.ok("errors", "--type", "drastic_change", "--since", "1h", "--limit", "1")
    assert "No errors" in drifted.run("errors", "--table", "shop.orders").stderr
    drifted.refused("errors", "--since", "yesterday", code=2)
