"""Makes the table assets of a schema: one definition per way to fill partitions, for as many tables as share it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing

import dagster as dg

from warp_assets import filling
from warp_assets.partitions import partitions_definition
from warp_assets.runs import begin, done_by, refuse_failures
from warp_assets.work import Outcome, each_table
from warp_resources.config import PartitionSettings, WarpConfig, schema_settings
from warp_resources.dagster_bridge import keys
from warp_resources.dagster_bridge.catalog import Table
from warp_resources.dagster_bridge.metadata import materialization_metadata, schema_metadata
from warp_resources.pipeline.engine import STREAM, Unit
from warp_resources.pipeline.options import open_destination

SLICE_POOL = "warp_slices"
"""How many runs may read slices at the same time is the limit of this pool; see ``dagster.yaml``."""

Results = Iterator[dg.MaterializeResult[None]]

_CONFIG = {
    "full_resync": dg.Field(
        bool, default_value=False, description="Read the whole tables again, whatever partitions are selected."
    )
}


def table_assets(config: WarpConfig, schema: str, tables: Sequence[Table]) -> list[dg.AssetsDefinition]:
    """The assets of a schema: stream tables by slices, batch tables by windows.

    A definition has one backfill policy, and all of its assets have the same partitions: a table with
    partitions of its own has a definition of its own.
    """
    found = []
    for mode in sorted({table.settings.mode for table in tables}):
        its = [table for table in tables if table.settings.mode == mode]
        usual, _ = Counter(table.settings.partitions for table in its).most_common(1)[0]
        name = f"{keys.dagster_name(schema)}_{mode}"
        found.append(_definition(config, name, [table for table in its if table.settings.partitions == usual]))
        found += [
            _definition(config, f"{name}_{keys.dagster_name(table.name)}", [table])
            for table in its
            if table.settings.partitions != usual
        ]
    return found


def _definition(config: WarpConfig, name: str, tables: Sequence[Table]) -> dg.AssetsDefinition:
    outputs = {keys.dagster_name(table.name): keys.asset_key(table.settings.table) for table in tables}
    first = tables[0].settings
    unit = Unit(config, first.table.schema, first.mode)
    is_stream = first.mode == STREAM
    op = dg.OpDefinition(
        name=name,
        compute_fn=_compute(unit, first.partitions),
        outs={output: dg.Out(dg.Nothing, is_required=False) for output in outputs},
        config_schema=_CONFIG,
        pool=SLICE_POOL if is_stream else None,
        description="Reads slices of keys again, beside the stream."
        if is_stream
        else "Compares slices of keys and writes what differs."
        if first.partitions.by == "key"
        else "Upserts what lies in windows of the marker column.",
    )
    return dg.AssetsDefinition(
        keys_by_output_name=outputs,
        node_def=op,
        specs=[_spec(config, table) for table in tables],
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.multi_run(1) if is_stream else dg.BackfillPolicy.single_run(),
    )


def _spec(config: WarpConfig, table: Table) -> dg.AssetSpec:
    settings = table.settings
    schema = settings.table.schema
    database = schema_settings(config, schema).database
    by_marker = "compared whole" if settings.strategy == "hash" else f"synced by {settings.marker_column}"
    how = "streamed" if settings.mode == STREAM else by_marker
    return dg.AssetSpec(
        key=keys.asset_key(settings.table),
        partitions_def=partitions_definition(schema, settings.partitions),
        group_name=keys.group_name(schema),
        kinds=keys.kinds(config),
        owners=settings.owners,
        tags=_tags(settings.tags),
        description=f"{database}.{table.name} of {config.source.type}, {how} into {config.destination.type}.",
        metadata=schema_metadata(table.stored),
    )


def _tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Tags in the characters that Dagster has for them; one whose name has none is left out.

    What Dagster does not take would stop the whole code location.
    """
    named = {tuple(map(keys.tag_text, name.split("/", 1))): keys.tag_text(value) for name, value in tags.items()}
    return {"/".join(name): value for name, value in named.items() if all(name)}


def _compute(unit: Unit, partitions: PartitionSettings) -> Callable[..., Results]:
    # Called `step`, since Dagster wants the annotation of a `context` to be a class, not its name.
    def fill(step: dg.AssetExecutionContext, inputs: Mapping[str, object]) -> Results:
        tables = sorted(map(keys.table_of, step.selected_asset_keys))
        task = filling.task(step, unit, partitions)
        failed: list[Outcome] = []
        with closing(open_destination(unit.config)) as destination:
            done_already = begin(step.instance, step.run, destination, unit.schema, task)
            act, names = task.act(destination), [table.name for table in tables]
            for outcome in each_table(unit, names, step.run.run_id, act, skip=done_already):
                if outcome.error is not None:
                    failed.append(outcome)
                    continue
                done = done_by(destination, unit, step.run.run_id, outcome)
                metadata = materialization_metadata(destination, step.instance, done)
                yield dg.MaterializeResult(asset_key=keys.asset_key(done.table), metadata=metadata)
        refuse_failures(unit.schema, failed)

    return fill
