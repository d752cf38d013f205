"""The stage of a fault on the servers that all tests share; a test whose fault is theirs starts its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.bigquery_proxy import BigQueryProxy
from tests.faults.lines import Lines, wired
from tests.faults.stage import Stage, staged
from tests.fixtures.servers import BigQueryProject, MongoDatabase


@pytest.fixture
def stage(tmp_path: Path, mongo_db: MongoDatabase, warehouse: str) -> Stage:
    """A schema of an empty database; its configuration is the shortest there is."""
    return staged(tmp_path, mongo_db.client, mongo_db.uri, warehouse, mongo_db.name)


@pytest.fixture
def lines(tmp_path: Path, mongo_db: MongoDatabase, warehouse: str) -> Iterator[Lines]:
    """The same with a proxy before each server."""
    with wired(tmp_path, mongo_db, warehouse) as its:
        yield its


@pytest.fixture
def proxy(bigquery: BigQueryProject) -> Iterator[BigQueryProxy]:
    """What stands before the emulator, for commands that are to be told something else."""
    with BigQueryProxy(str(bigquery.endpoints["api_endpoint"])) as made:
        yield made
