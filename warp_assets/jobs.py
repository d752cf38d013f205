"""Makes the two jobs of a schema: what is new since the markers, and everything again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing

import dagster as dg

from warp_assets import filling
from warp_assets.asked import asked_of
from warp_assets.events import Event
from warp_assets.generations import FULL_RESYNC_TAG, MODE_TAG
from warp_assets.runs import refuse_failures
from warp_assets.tables import SLICE_POOL
from warp_assets.ticks import Tick
from warp_resources.config import WarpConfig
from warp_resources.dagster_bridge import keys
from warp_resources.pipeline.options import open_destination

Compute = Callable[[dg.OpExecutionContext, Mapping[str, object]], Iterator[Event]]
"""A generator: Dagster holds the end of a run back until a plain function returns, and its events with it."""

_TABLES = dg.Field([str], default_value=[], description="Only these tables, by their names in the source.")
_SYNC = {
    "tables": _TABLES,
    "since": dg.Field(str, is_required=False, description="Instead: upsert windows, from this time on."),
    "until": dg.Field(str, is_required=False, description="Instead: upsert windows, up to this time, excluded."),
    "full_resync": dg.Field(bool, default_value=False, description="Instead: read the whole tables again."),
}
_RESYNC = {
    "tables": _TABLES,
    "slices": dg.Field(
        [str], default_value=[], description="Of stream tables only these slices: slice-00, slice-01, ..."
    ),
}


def schema_jobs(config: WarpConfig, schema: str) -> list[dg.JobDefinition]:
    """``sync_<schema>`` and ``resync_<schema>``."""
    sync = _job(
        keys.sync_job(schema),
        _sync(config, schema),
        _SYNC,
        "Brings batch tables up to date from their own markers, and waits for the stream to be at the source's end.",
        filling.INCREMENTAL,
    )
    resync = _job(
        keys.resync_job(schema),
        _resync(config, schema),
        _RESYNC,
        "Reads whole tables again, beside their stream, and removes what the source no longer has.",
        filling.RESYNC,
        pool=SLICE_POOL,
    )
    return [sync, resync]


def _sync(config: WarpConfig, schema: str) -> Compute:
    def sync(step: dg.OpExecutionContext, inputs: Mapping[str, object]) -> Iterator[Event]:
        with closing(open_destination(config)) as destination:
            asked = asked_of(config, schema, destination, step.op_config)
            tick = Tick(step, config, schema, destination, asked)
            if filling.wants_full_resync(step.run, asked.full_resync):
                failed = yield from tick.resync()
            elif asked.is_window:
                failed = yield from tick.window()
            else:
                failed = yield from tick.sync()
        refuse_failures(schema, failed)

    return sync


def _resync(config: WarpConfig, schema: str) -> Compute:
    def resync(step: dg.OpExecutionContext, inputs: Mapping[str, object]) -> Iterator[Event]:
        with closing(open_destination(config)) as destination:
            asked = asked_of(config, schema, destination, step.op_config)
            failed = yield from Tick(step, config, schema, destination, asked).resync()
        refuse_failures(schema, failed)

    return resync


def _job(
    name: str,
    compute: Compute,
    config_schema: dict[str, dg.Field],
    description: str,
    mode: str,
    pool: str | None = None,
) -> dg.JobDefinition:
    op = dg.OpDefinition(
        name=f"{name}_tables",
        compute_fn=compute,
        outs={},
        config_schema=config_schema,
        description=description,
        pool=pool,
    )
    tags = {MODE_TAG: mode, FULL_RESYNC_TAG: str(mode == filling.RESYNC).lower()}
    graph = dg.GraphDefinition(name=name, node_defs=[op], description=description)
    return graph.to_job(name=name, tags=tags, executor_def=dg.in_process_executor)
