"""The code location: every configured table as an asset, with the jobs, sensors and schedules of its schema."""

from __future__ import annotations

import dagster as dg
import structlog

from warp_assets.checks import table_checks
from warp_assets.guide import guide
from warp_assets.jobs import schema_jobs
from warp_assets.letters import letter_jobs
from warp_assets.tables import table_assets
from warp_resources.config import Logging, WarpConfig, find_file, schema_settings, served_schemas
from warp_resources.dagster_bridge.catalog import catalog
from warp_resources.dagster_bridge.resources import DestinationResource, SourceResource, StateResource
from warp_resources.errors import ConfigurationError
from warp_resources.telemetry.logs import configure_logging
from warp_sensors.changes import changes_sensor
from warp_sensors.failures import failure_sensor
from warp_sensors.schedules import sync_schedule

log = structlog.get_logger(__name__)


def load() -> dg.Definitions:
    """What this process serves; without a configuration, an asset that says how to make one.

    Raises:
        ConfigurationError: there is a configuration, and something is wrong with it.
    """
    configure_logging(Logging())
    try:
        file = find_file()
    except ConfigurationError as error:
        log.warning("there is nothing to serve", reason=str(error))
        return dg.Definitions(assets=[guide(error)])
    config = WarpConfig.from_file(file)
    configure_logging(config.logging)
    return definitions(config)


def definitions(config: WarpConfig) -> dg.Definitions:
    """Everything that Dagster shows of a configuration."""
    schemas = served_schemas(config)
    tables = catalog(config, schemas)
    jobs = {schema: schema_jobs(config, schema) for schema in schemas}
    crons = {schema: schema_settings(config, schema).schedule for schema in schemas}
    return dg.Definitions(
        assets=[asset for schema in schemas for asset in table_assets(config, schema, tables[schema])],
        asset_checks=[table_checks(config, schema, tables[schema]) for schema in schemas if tables[schema]],
        jobs=[
            *(job for of_schema in jobs.values() for job in of_schema),
            *(job for schema in schemas for job in letter_jobs(config, schema)),
        ],
        schedules=[sync_schedule(schema, cron, jobs[schema][0]) for schema, cron in crons.items() if cron],
        sensors=[
            *(changes_sensor(config, schema, tables[schema]) for schema in schemas),
            failure_sensor(config, schemas),
        ],
        resources={"source": SourceResource(), "destination": DestinationResource(), "state": StateResource()},
        executor=dg.in_process_executor,
    )


defs = load()
