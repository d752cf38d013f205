"""Markers are moved only to where the next run can start, and only those that there are."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cli.conftest import Warp, execute, query, schemas_of
from tests.fixtures.servers import MongoDatabase

pytestmark = pytest.mark.servers

BATCH = '{"column": "updated_at", "value": "2024-05-01T00:00:00+00:00"}'


@pytest.fixture
def mixed(shop: Warp, settings: dict[str, Any]) -> Warp:
    """A schema whose orders come in batches, and one that only has batches."""
    settings["schemas"] = [
        {"name": "shop", "table_whitelist": ["users", "orders"], "tables": {"orders": {"mode": "batch"}}},
        {"name": "crm", "mode": "batch", "table_whitelist": ["logs"]},
    ]
    shop.write(settings)
    return shop


@pytest.mark.parametrize(
    ("target", "position", "words", "code"),
    [
        ("shop", '{"time": [1, 1]}', "markers set <schema> now", 1),
        ("shop", '{"token": {"_data": "82zz"}, "time": [1, 1]}', "resume token", 1),
        ("crm", "now", "No table of schema 'crm' is streamed", 2),
        ("shop.users", BATCH, "markers set shop", 2),
        ("shop.order", BATCH, "Did you mean 'orders'", 2),
        ("shop.orders", '{"column": "updated_at", "value": "2024-01-01"}', "time with a zone", 2),
        ("shp", "now", "Did you mean 'shop'", 2),
    ],
)
def test_a_position_that_no_run_could_start_from_is_refused(
    mixed: Warp, warehouse: str, target: str, position: str, words: str, code: int
) -> None:
    # SPEC: T1, L3
    assert words in mixed.refused("markers", "set", target, position, "--yes", code=code)
    assert schemas_of(warehouse) == set()


def test_a_schema_that_is_misspelt_where_there_is_one_only_is_told(shop: Warp) -> None:
    # SPEC: L3
    assert "Did you mean the schema 'shop'" in shop.refused("markers", "set", "shp", "now", "--yes", code=2)


def test_a_batch_marker_is_moved_in_the_form_that_a_run_writes(mixed: Warp) -> None:
    # SPEC: T1
    mixed.ok("run", "--once")
    before = json.dumps(mixed.json("markers", "show", "crm.logs")["position"])
    done = mixed.run(
        "markers", "set", "crm.logs", '{"column": "updated_at", "value": "2024-05-01T02:00+02:00"}', "--yes"
    )
    assert done.returncode == 0, done.stderr
    assert before in done.stderr
    wanted = {"column": "updated_at", "value": "2024-05-01T00:00:00.000000+00:00"}
    assert mixed.json("markers", "show", "crm.logs")["position"] == wanted
    mixed.ok("run", "--once")


def test_a_stream_whose_stored_position_is_spoiled_starts_anew(
    shop: Warp, mongo_db: MongoDatabase, warehouse: str
) -> None:
    # SPEC: R4, T1
    shop.ok("run", "--once")
    execute(
        warehouse,
        """update cartridge_warp_metadata.sync_markers set position = '{"time": [1, 1]}'
        where table_name = ''""",
    )
    mongo_db.database.users.delete_one({"_id": 0})
    assert "markers set <schema> now" in shop.refused("run", "--once", code=1)
    done = shop.run("markers", "set", "shop", "now", "--yes")
    assert done.returncode == 0, done.stderr
    assert '{"time": [1, 1]}' in done.stderr
    shop.ok("run", "--once")
    assert query(warehouse, "select count(*), min(_id) from shop.users") == [(39, 1)]
