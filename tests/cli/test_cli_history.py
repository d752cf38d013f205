"""The history of a table's schema, on the command line."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Warp, query
from tests.fixtures.servers import MongoDatabase

pytestmark = pytest.mark.servers


@pytest.fixture
def drifted(shop: Warp, mongo_db: MongoDatabase) -> Warp:
    """A table whose column became text for a value that went again, and that has a new column."""
    shop.ok("run", "--once")
    mongo_db.database.users.update_one({"_id": 1}, {"$set": {"n": "one"}})
    shop.ok("run", "--once")
    mongo_db.database.users.update_one({"_id": 2}, {"$set": {"note": "new"}})
    shop.ok("run", "--once")
    return shop


def test_the_versions_are_listed_compared_and_gone_back_to(
    drifted: Warp, mongo_db: MongoDatabase, warehouse: str
) -> None:
    # SPEC: 13 T2 E10 L3
    versions = drifted.json("schema-history", "shop.users", "--json")
    assert [version["version"] for version in versions] == [1, 2, 3]
    [widened] = versions[1]["changes"]
    assert (widened["column"], widened["after"]) == ("n", "text")
    assert "new field" in drifted.ok("schema-history", "shop.users")
    differences = drifted.json("schema-history", "shop.users", "--diff", "1..3", "--json")
    assert {change["column"]: change["after"] for change in differences} == {"n": "text", "note": "text"}

    planned = drifted.ok("schema-history", "shop.users", "--rollback", "1")
    assert "n: stays text, since 1 values" in planned
    assert "note: came after version 1 and stays" in planned
    mongo_db.database.users.update_one({"_id": 1}, {"$set": {"n": 11}})
    drifted.ok("run", "--once")
    planned = drifted.ok("schema-history", "shop.users", "--rollback", "1")
    assert "alter table" in planned
    assert query(warehouse, "select pg_typeof(n)::text from shop.users limit 1") == [("text",)]
    done = drifted.json("schema-history", "shop.users", "--rollback", "1", "--yes", "--json")
    assert (done["applied_version"], done["kept"]) == (4, ["note"])
    assert query(warehouse, "select n, pg_typeof(n)::text from shop.users where _id = 1")[0][0] == 11

    mongo_db.database.users.update_one({"_id": 3}, {"$set": {"n": "three"}})
    drifted.ok("run", "--once")
    assert query(warehouse, "select n from shop.users where _id = 3") == [("three",)]
    assert drifted.json("schema-history", "shop.users", "--json")[-1]["version"] == 5


def test_what_there_is_not_is_told(shop: Warp) -> None:
    # SPEC: L3
    shop.ok("run", "--once")
    for arguments, words in [
        (("shop.user",), "no schema of shop.user"),
        (("shop.users", "--rollback", "9"), "versions 1 to 1"),
        (("shop.users", "--diff", "1-2"), "Write them as 1..3"),
        (("shop.users", "--diff", "1..2", "--rollback", "1"), "exclude each other"),
        (("shop.users", "--yes"), "--rollback N --yes"),
    ]:
        assert words in shop.refused("schema-history", *arguments, code=2)
