"""An asset of the user's own reaches the emulator through dagster-gcp's resource."""

from __future__ import annotations

import dagster as dg
import pytest
from dagster_gcp import BigQueryResource

from tests.fixtures.servers import BigQueryProject
from warp_resources.dagster_bridge.bigquery import EndpointBigQueryResource

pytestmark = pytest.mark.servers


def test_an_asset_asks_the_endpoint_that_its_resource_names(bigquery: BigQueryProject) -> None:
    # SPEC: D5
    @dg.asset
    def answer(warehouse: dg.ResourceParam[BigQueryResource]) -> int:
        with warehouse.get_client() as client:
            (row,) = client.query("select 6 * 7 as n").result()
            return int(row.n)

    resource = EndpointBigQueryResource(project=bigquery.project, api_endpoint=bigquery.options["api_endpoint"])
    result = dg.materialize([answer], resources={"warehouse": resource}, instance=dg.DagsterInstance.ephemeral())
    assert result.output_for_node("answer") == 42


def test_without_an_endpoint_it_is_dagsters_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", "http://127.0.0.1:9")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/key.json")
    with (
        pytest.raises(Exception, match=r"/nowhere/key\.json was not found"),
        EndpointBigQueryResource(project="p").get_client(),
    ):
        pass
