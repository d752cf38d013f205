"""A storm of fields and types on its way to BigQuery, in as few statements as a table can bear."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.bigquery_proxy import BigQueryProxy
from tests.faults.bigquery_stage import BigQueryStage, bigquery_stage
from tests.fixtures.servers import BigQueryProject, MongoDatabase
from tests.pairs.bigquery_tables import Tables

pytestmark = pytest.mark.servers

WIDE, LATE, FLIPPED = 2_000, 500, 60
DDL = r"POST \S+/jobs\S* cartridge_warp_ddl_"
LETTERS = "select column_name from cartridge_warp_metadata.dead_letters where schema_name = %s"


@pytest.fixture
def stage(tmp_path: Path, mongo_db: MongoDatabase, bigquery: BigQueryProject, proxy: BigQueryProxy) -> BigQueryStage:
    return bigquery_stage(tmp_path, mongo_db, bigquery, proxy.endpoint)


@pytest.fixture
def tables(bigquery: BigQueryProject) -> Iterator[Tables]:
    made = Tables(bigquery)
    yield made
    made.session.close()


def fields(prefix: str, count: int, value: Any) -> dict[str, Any]:
    return {f"{prefix}{number}": value for number in range(count)}


# SPEC: E3, E4, E6, E9, E10, T7  FAULTS: 15
def test_a_storm_of_fields_and_types_takes_few_statements(
    stage: BigQueryStage, tables: Tables, proxy: BigQueryProxy
) -> None:
    users = stage.database["users"]
    users.insert_one({"_id": 1, **{f"n{number}": number for number in range(WIDE)}})
    stage.command.once()
    before = proxy.count(DDL)
    users.insert_one({"_id": 2, **{f"late{number}": [number, {"deep": None}] for number in range(LATE)}})
    users.insert_one({"_id": 3, **fields("n", FLIPPED, "a text")})
    users.update_one({"_id": 1}, {"$set": {"n1999": 0.5}, "$unset": {"n1998": 1}})
    stage.dies("ddl.swapped=kill")
    stage.command.once()
    assert tables.unlawful(stage.database, "users") == []
    users.update_one({"_id": 3}, {"$set": fields("n", FLIPPED, 17)})
    users.insert_one({"_id": 4, **fields("n", FLIPPED, {"not": "a scalar"})})
    stage.command.once()
    assert tables.unlawful(stage.database, "users") == []
    print(f"{proxy.count(DDL) - before} statements")
    assert proxy.count(DDL) - before < 20
    assert sorted(stage.query(LETTERS)) == sorted(fields("n", FLIPPED, 0))
