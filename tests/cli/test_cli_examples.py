"""The example files are valid, run, and ``init`` writes one that does."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Warp, query
from tests.fixtures.servers import MongoDatabase

pytestmark = pytest.mark.servers

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.*"))
DATABASES = ["ecommerce_db", "ecommerce", "tenant_1", "tenant_2"]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_valid_and_runs(warp: Warp, mongo_db: MongoDatabase, warehouse: str, example: Path) -> None:
    # SPEC: C2
    for name in DATABASES:
        mongo_db.client[name].products.replace_one({"_id": 1}, {"_id": 1, "name": "lamp"}, upsert=True)
    assert "valid" in warp.ok("validate", "--config", str(example))
    warp.environ |= {"MONGO_URL": mongo_db.uri, "PG_URL": warehouse}
    assert "FAILED" not in warp.ok("--config", str(example), "validate", "--connect")
    warp.ok("--config", str(example), "run", "--once")
    runs = query(warehouse, "select distinct status from cartridge_warp_metadata.sync_runs")
    assert ("failed",) not in runs
    for name in DATABASES:
        mongo_db.client.drop_database(name)


def test_init_writes_a_configuration_that_runs(warp: Warp, shop: Warp, mongo_db: MongoDatabase, warehouse: str) -> None:
    # SPEC: L5
    shop.config.unlink()
    head, _, options = mongo_db.uri.partition("/?")
    text = warp.ok("init", "--source", f"{head}/{mongo_db.name}?{options}", "--destination", warehouse)
    assert text.count("written") == 4
    assert (warp.folder / ".env").stat().st_mode & 0o077 == 0
    warp.ok("validate", "--connect")
    warp.ok("run", "--once")
    assert query(warehouse, f'select count(*) from "{mongo_db.name}".users') == [(40,)]
    assert warp.ok("init").count("kept") == 2


def test_init_says_what_it_misses_and_writes_nothing(warp: Warp, warehouse: str) -> None:
    assert "--source" in warp.refused("init", code=2)
    assert "no database" in warp.refused("init", "--source", "mongodb://h", "--destination", warehouse, code=2)
    assert list(warp.folder.iterdir()) == []
