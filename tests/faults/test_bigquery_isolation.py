"""What somebody does to one table in BigQuery is no matter of the others, and a dropped table comes back whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.bigquery_stage import BigQueryStage, bigquery_stage
from tests.fixtures.servers import BigQueryProject, MongoDatabase

pytestmark = pytest.mark.servers

TABLES = ("items", "orders", "users")
ASIDE = (
    "select name from cartridge_warp_metadata.control__{schema}"
    " where json_value(body, '$.state.aside_reason') is not null order by name"
)
REASON = (
    "select json_value(body, '$.state.aside_reason') from cartridge_warp_metadata.control__{schema}"
    " where name = 'orders' and kind = 'table'"
)


@pytest.fixture
def stage(tmp_path: Path, mongo_db: MongoDatabase, bigquery: BigQueryProject) -> BigQueryStage:
    return bigquery_stage(tmp_path, mongo_db, bigquery)


# SPEC: M3, M5, R1, R5  FAULTS: 2, 14
def test_a_table_that_is_dropped_or_altered_is_set_aside_and_comes_back(stage: BigQueryStage) -> None:
    machines = [stage.machine(name, seed) for seed, name in enumerate(TABLES)]
    for machine in machines:
        machine.fill(30)

    def aside() -> list[str]:
        return stage.query(ASIDE.format(schema=stage.schema))

    with stage.running() as process:
        stage.arrives()
        stage.inject("a table dropped, another without a column")
        stage.run(f"drop table {stage.schema}.orders")
        stage.run(f"alter table {stage.schema}.items drop column body")
        for machine in machines:
            machine.burst(30)
        stage.eventually(lambda: aside() == ["items", "orders"])
        stage.arrives("users")
        [reason] = stage.query(REASON.format(schema=stage.schema))
        assert f"cartridge-warp resync --table {stage.schema}.orders" in reason
        stage.run(f"alter table {stage.schema}.items add column body string")
        for name in ("orders", "items"):
            again = stage.command.start("resync", "--table", f"{stage.schema}.{name}")
            assert again.wait(60) == 0, stage.command.log[-3000:]
        stage.eventually(lambda: aside() == [])
        stage.judge(process, errors=["table_set_aside", "table_made_again"])
