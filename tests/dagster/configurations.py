"""Configurations over the in-memory connectors, for assets and jobs that run in the process of the test."""

from __future__ import annotations

import time
import uuid
from typing import Any

import dagster as dg
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run

from warp_assets.definitions import definitions
from warp_resources import WarpRunner
from warp_resources.config import WarpConfig
from warp_resources.connectors.interfaces import SourceScope, SourceTable
from warp_resources.connectors.memory.destination import MemoryDestination, MemoryOptions
from warp_resources.connectors.memory.server import MemoryServer
from warp_resources.connectors.memory.source import MemorySource, MemorySourceOptions
from warp_resources.errors import TransientError
from warp_resources.model.tables import TableId

LOADING_SECONDS = 0.5
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


class Site:
    """A source and a destination in memory, the configuration that joins them, and an instance of Dagster."""

    def __init__(self, *schemas: dict[str, Any], **settings: Any) -> None:
        name = uuid.uuid4().hex
        self.server = MemoryServer.named(name)
        self.config = WarpConfig.model_validate(
            {
                "source": {"type": "memory", "server": name},
                "destination": {"type": "memory", "store": name},
                "schemas": list(schemas),
                **settings,
            }
        )
        for schema in schemas:
            self.server.create_table(schema["name"], "first")
        self.destination = MemoryDestination(MemoryOptions(store=name))
        self.instance = dg.DagsterInstance.ephemeral()

    def rows(self, schema: str, table: str) -> dict[object, dict[str, object]]:
        """The rows of a destination's table by ``_id``, without our own columns."""
        found = self.destination.rows(TableId(schema, table))
        return {row["_id"]: {k: v for k, v in row.items() if not k.startswith("_warp")} for row in found}

    def definitions(self) -> dg.Definitions:
        """The code location, with the tables that there are now."""
        return definitions(self.config)

    def sync(self) -> None:
        """Let the headless engine bring everything up to date."""
        WarpRunner(self.config).run_once()

    def materialise(
        self, schema: str, table: str, *keys: str, tags: dict[str, str] | None = None
    ) -> dg.ExecuteInProcessResult:
        """Run the asset as the UI does: one partition by its key, several as a range."""
        job = self.definitions().resolve_implicit_global_asset_job_def()
        span = {RANGE_START: keys[0], RANGE_END: keys[-1]} if len(keys) > 1 else {}
        return job.execute_in_process(
            instance=self.instance,
            asset_selection=[dg.AssetKey([schema, table])],
            partition_key=keys[0] if len(keys) == 1 else None,
            tags={**span, **(tags or {})},
            raise_on_error=False,
        )

    def run_job(self, name: str, tags: dict[str, str] | None = None, **config: Any) -> dg.ExecuteInProcessResult:
        """Run a job with the configuration of its op."""
        job = self.definitions().resolve_job_def(name)
        run_config = {"ops": {f"{name}_tables": {"config": config}}}
        return job.execute_in_process(instance=self.instance, run_config=run_config, tags=tags, raise_on_error=False)

    def re_execute(self, name: str, run_id: str, **config: Any) -> bool:
        """Run a job again as the UI does, as a run whose parent is the given one; whether it succeeded."""
        job = self.definitions().resolve_job_def(name)
        again = self.instance.create_run_for_job(
            job,
            run_config={"ops": {f"{name}_tables": {"config": config}}},
            tags=job.run_tags,
            parent_run_id=run_id,
            root_run_id=run_id,
        )
        return execute_run(InMemoryJob(job), again, self.instance).success

    def partitions(self, schema: str, table: str) -> list[str | None]:
        """The partitions of the materializations so far, oldest first."""
        records = self.instance.fetch_materializations(dg.AssetKey([schema, table]), limit=1000).records
        return [record.partition_key for record in reversed(records)]

    def metadata(self, schema: str, table: str) -> dict[str, Any]:
        """The plain values of the latest materialization's metadata."""
        [record] = self.instance.fetch_materializations(dg.AssetKey([schema, table]), limit=1).records
        found = record.asset_materialization
        return {name: value.value for name, value in found.metadata.items()} if found else {}


class DeafSource(MemorySource):
    """A source that does not answer."""

    def __init__(self, options: MemorySourceOptions) -> None:
        """Nothing to connect to."""

    def tables(self, scope: SourceScope) -> list[SourceTable]:
        raise TransientError("The source does not answer", remedy="Start it")


class LateSource(MemorySource):
    """A source whose driver takes its time to load."""

    def __init__(self, options: MemorySourceOptions) -> None:
        time.sleep(LOADING_SECONDS)
        super().__init__(options)
