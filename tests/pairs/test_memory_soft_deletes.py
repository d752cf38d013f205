"""How the configuration turns soft deletes on and off, over the in-memory connectors."""

from __future__ import annotations

from contextlib import suppress

from tests.pairs.test_memory_engine import USERS, Shop
from warp_resources import WarpRunner
from warp_resources.errors import WarpError
from warp_resources.model.tables import ChangeKind

SOFT = {"deletion_strategy": "soft"}


def flags(shop: Shop, name: str = "is_deleted") -> dict[object, object]:
    return {key: row[name] for key, row in shop.rows().items()}


def once(shop: Shop, full_resync: bool = False, **schema: object) -> None:
    WarpRunner(shop.with_schema(**schema)).run_once(full_resync)


def put(shop: Shop, *keys: int) -> None:
    for key in keys:
        shop.server.put("shop", "users", {"_id": key, "n": key})


# SPEC: X2, C1
def test_deletes_turn_soft_and_hard_again() -> None:
    shop = Shop()
    put(shop, 1, 2, 3, 4)
    once(shop)
    shop.server.delete("shop", "users", 2)
    once(shop, **SOFT)
    assert flags(shop) == {1: False, 2: True, 3: False, 4: False}
    shop.server.delete("shop", "users", 3)
    put(shop, 2)
    once(shop)
    assert flags(shop) == {1: False, 2: False, 4: False}
    schema = shop.destination.table_schemas("shop")["users"]
    assert (schema.flag, schema.is_soft, schema.version) == ("is_deleted", False, 3)
    shop.server.delete("shop", "users", 4)
    once(shop, tables={"users": {**SOFT, "soft_delete_column": "gone"}})
    assert flags(shop, "gone") == {1: False, 2: False, 4: True}
    assert shop.destination.row_count(USERS) == 2


# SPEC: X2, M5
def test_a_resync_of_a_table_that_was_emptied_flags_its_rows() -> None:
    shop = Shop()
    put(shop, 1, 2)
    once(shop)
    shop.server.delete("shop", "users", 1, 2)
    shop.server.trim_log()
    once(shop, **SOFT)
    assert flags(shop) == {1: True, 2: True}


# SPEC: X2, 5
def test_a_field_of_the_flags_name_is_stored_under_another() -> None:
    shop = Shop(None, **SOFT)
    shop.server.put("shop", "users", {"_id": 1, "is_deleted": "said the source"})
    shop.run_once()
    shop.server.delete("shop", "users", 1)
    shop.run_once()
    [(name, stored)] = [(its.name, its.stored) for its in shop.destination.table_schemas("shop")["users"].columns[1:]]
    assert name == "is_deleted" != stored
    assert shop.rows() == {1: {"_id": 1, stored: "said the source", "is_deleted": True}}


# SPEC: X2
def test_a_column_of_the_source_is_never_taken_for_the_flag() -> None:
    shop = Shop()
    shop.server.put("shop", "users", {"_id": 1, "is_deleted": "said the source"})
    once(shop)
    shop.server.delete("shop", "users", 1)
    # The table stops, or is set aside, and says so (tests/unit/evolution/test_deletion.py).
    with suppress(WarpError):
        once(shop, **SOFT)
    assert shop.rows() == {1: {"_id": 1, "is_deleted": "said the source"}}
    once(shop, **SOFT, soft_delete_column="removed")
    assert flags(shop, "removed") == {1: True}


# SPEC: T2
def test_how_deletes_are_kept_is_a_version_of_the_schema() -> None:
    shop = Shop()
    put(shop, 1)
    once(shop)
    shop.server.delete("shop", "users", 1)
    once(shop, **SOFT)
    versions = shop.destination.schema_versions(USERS)
    assert [[change.kind for change in version.changes] for version in versions] == [
        [ChangeKind.CREATE_TABLE],
        [ChangeKind.DELETION],
    ]
