"""``verify`` on real servers: it names exactly what somebody changed by hand, and mends exactly that."""

from __future__ import annotations

import json
import signal
import threading
from datetime import UTC, datetime
from typing import Any

import pytest
from bson import Decimal128, ObjectId

from tests.cli.conftest import Warp, execute, query, wait_for
from tests.fixtures.servers import MongoDatabase

pytestmark = pytest.mark.servers

DECIMAL = '{"$numberDecimal": "0.1"}'
KEYS = ObjectId("65f0c0ffee00000000000001")


@pytest.fixture
def odd(shop: Warp, mongo_db: MongoDatabase) -> Warp:
    """The shop with orders of unlike values, brought over once."""
    mongo_db.database.orders.insert_many(
        [
            {"_id": KEYS, "total": Decimal128("1.10"), "lines": {"a": [1, 2.5, None]}},
            {"_id": "text", "at": datetime(2024, 5, 1, tzinfo=UTC)},
            {"_id": Decimal128("0.1"), "lines": [Decimal128("1.0"), float("nan")]},
            {"_id": {"a": 1}, "total": -0.0},
        ]
    )
    shop.ok("run", "--once")
    return shop


def found_by(warp: Warp, *arguments: str, code: int) -> dict[str, Any]:
    done = warp.run("verify", "--json", *arguments)
    assert done.returncode == code, f"{done.stdout}\n{done.stderr}"
    return {line["table"]: line for line in json.loads(done.stdout)}


def kinds(result: dict[str, Any]) -> dict[str, str]:
    return {json.dumps(line["key"]["_id"]): line["kind"] for line in result["keys"]}


def sequences(uri: str, table: str) -> dict[str, int]:
    return dict(query(uri, f"select _id::text, _warp_sequence from shop.{table}"))


def test_what_was_spoiled_is_named_and_nothing_else(odd: Warp, warehouse: str) -> None:
    # SPEC: R5 L3
    equal = found_by(odd, code=0)
    assert {name: (its["rows"], its["matched"]) for name, its in equal.items()} == {
        "shop.users": (40, 40),
        "shop.orders": (29, 29),
    }
    execute(
        warehouse,
        "update shop.users set n = -1 where _id = 7",
        "delete from shop.users where _id = 8",
        "insert into shop.users (_id, _warp_sequence, _warp_synced_at) values (1000, 1, now())",
        "update shop.orders set total = 1.1 where _id like '%c0ffee%'",
        "update shop.orders set lines = '[{\"n\": 3, \"more\": true}]' where _id = '3'",
        "delete from shop.orders where _id like '%numberDecimal%'",
    )
    before = {name: sequences(warehouse, name) for name in ("users", "orders")}

    found = found_by(odd, code=3)
    assert kinds(found["shop.users"]) == {"7": "different", "8": "missing", "1000": "surplus"}
    oid = json.dumps({"$oid": str(KEYS)})
    assert kinds(found["shop.orders"]) == {oid: "different", "3": "different", DECIMAL: "missing"}
    only = found_by(odd, "--table", "shop.users", code=3)
    assert list(only) == ["shop.users"]

    shown = odd.run("verify", "--table", "shop.users")
    assert shown.returncode == 3
    assert 'shop.users: surplus: {"_id": 1000}' in shown.stdout

    mended = found_by(odd, "--repair", code=0)
    assert [mended[name]["mended"] for name in sorted(mended)] == [3, 3]
    found_by(odd, code=0)
    after = {name: sequences(warehouse, name) for name in before}
    kept = {name: {key: its for key, its in before[name].items() if after[name].get(key) == its} for name in before}
    assert set(before["users"]) - set(kept["users"]) == {"7", "1000"}
    assert set(before["orders"]) - set(kept["orders"]) == {json.dumps({"$oid": str(KEYS)}), "3"}
    log = query(warehouse, "select primary_key, cause from cartridge_warp_metadata.deletion_log")
    assert log == [('{"_id": 1000}', "verify")]
    assert query(warehouse, "select count(*) from cartridge_warp_metadata.generations where status = 'open'") == [(0,)]


def test_what_the_stream_has_yet_to_bring_is_no_difference(odd: Warp, mongo_db: MongoDatabase) -> None:
    # SPEC: R5
    mongo_db.database.users.update_one({"_id": 3}, {"$set": {"n": 4}})
    mongo_db.database.users.delete_one({"_id": 4})
    mongo_db.database.users.insert_one({"_id": 5000})
    found = found_by(odd, "--table", "shop.users", code=0)["shop.users"]
    assert (found["late"], found["keys"]) == (3, [])


def test_no_false_alarm_while_writes_go_on(odd: Warp, mongo_db: MongoDatabase, warehouse: str) -> None:
    # SPEC: R5
    users = mongo_db.database.users
    running, stop = odd.start("run"), threading.Event()

    def write() -> None:
        number = 0
        while not stop.wait(0.02):
            number += 1
            users.update_one({"_id": number % 5}, {"$set": {"n": number}})
            users.insert_one({"_id": 10_000 + number})
            users.delete_one({"_id": 10_000 + number - number % 3})

    writer = threading.Thread(target=write)
    writer.start()
    try:
        wait_for(lambda: query(warehouse, "select count(*) from shop.users where _id > 10000") != [(0,)])
        for _ in range(3):
            assert found_by(odd, "--table", "shop.users", code=0)["shop.users"]["keys"] == []
        execute(warehouse, "update shop.users set name = 'x' where _id = 30", "delete from shop.users where _id = 31")
        found = found_by(odd, "--table", "shop.users", "--repair", code=0)["shop.users"]
        assert kinds(found) == {"30": "different", "31": "missing"}
        assert found_by(odd, "--table", "shop.users", code=0)["shop.users"]["keys"] == []
    finally:
        stop.set()
        writer.join()
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=40)


def test_what_cannot_be_compared_is_said(shop: Warp) -> None:
    # SPEC: L3
    assert "is not loaded yet" in shop.refused("verify", "--table", "shop.users", code=1)
    assert "has no table 'userz'" in shop.refused("verify", "--table", "shop.userz", code=2)
