"""Says which reading of a table the slices of a run belong to, so that a backfill of all slices is one resync."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import dagster as dg

from warp_resources.connectors.interfaces import Destination
from warp_resources.dagster_bridge.keys import asset_key
from warp_resources.model.tables import TableId

BACKFILL_TAG = "dagster/backfill"
MODE_TAG, FULL_RESYNC_TAG = "warp/mode", "warp/full_resync"

# Runs that are equal in these, and in their configuration, do the same.
_TELLING_TAGS = (
    MODE_TAG,
    FULL_RESYNC_TAG,
    "dagster/partition",
    "dagster/asset_partition_range_start",
    "dagster/asset_partition_range_end",
)


@dataclass(frozen=True, slots=True)
class Reading:
    """A generation: its name, the slices that it has, and those of them to read now."""

    generation: str
    of: tuple[str, ...]
    slices: tuple[str, ...]


def own_generation(run: dg.DagsterRun) -> str:
    """The generation of a run's own; a re-execution goes on where the first attempt stopped."""
    return f"run-{run.root_run_id or run.run_id}"


def read_before(
    run: dg.DagsterRun, instance: dg.DagsterInstance, destination: Destination, schema: str
) -> frozenset[str]:
    """The tables that the failed runs of which this one is a re-execution have read to their end."""
    return frozenset(
        its.table.name
        for attempt in _attempts_before(run, instance)
        for its in destination.figures_of_run(schema, attempt)
        if its.status == "success" and its.table.name
    )


def _attempts_before(run: dg.DagsterRun, instance: dg.DagsterInstance) -> list[str]:
    """The runs that this one goes on with, newest first: a run that succeeded has left nothing to do."""
    found: list[str] = []
    before = _parent(run, instance)
    while before is not None and not before.is_success and _work(before) == _work(run):
        found.append(before.run_id)
        before = _parent(before, instance)
    return found


def _parent(run: dg.DagsterRun, instance: dg.DagsterInstance) -> dg.DagsterRun | None:
    return instance.get_run_by_id(run.parent_run_id) if run.parent_run_id is not None else None


def _work(run: dg.DagsterRun) -> tuple[object, ...]:
    return run.job_name, run.run_config, [run.tags.get(tag) for tag in _TELLING_TAGS]


def backfill_generation(run: dg.DagsterRun) -> str | None:
    """The generation of the backfill that a run is a part of."""
    backfill = run.tags.get(BACKFILL_TAG)
    return None if backfill is None else f"backfill-{backfill}"


def slice_reading(
    run: dg.DagsterRun, instance: dg.DagsterInstance, destination: Destination, table: TableId, slices: Collection[str]
) -> Reading:
    """Some slices: as part of the backfill that the run belongs to, else by themselves."""
    chosen = tuple(sorted(slices))
    generation = backfill_generation(run)
    if generation is None:
        return Reading(own_generation(run), chosen, chosen)
    is_open = any(
        (found.table, found.generation) == (table, generation) for found in destination.generations(table.schema)
    )
    if run.parent_run_id is not None and not is_open:
        # The backfill is over: whoever runs one of its slices again means this slice only.
        return Reading(own_generation(run), chosen, chosen)
    return Reading(generation, _targets(instance, run.tags[BACKFILL_TAG], table) or chosen, chosen)


def _targets(instance: dg.DagsterInstance, backfill: str, table: TableId) -> tuple[str, ...] | None:
    """The slices of a table that a backfill was asked for; None where its record does not say."""
    record = instance.get_backfill(backfill)
    progress = record.asset_backfill_data if record is not None else None
    if progress is None:
        return None
    subset = progress.target_subset.partitions_subsets_by_asset_key.get(asset_key(table))
    return tuple(sorted(subset.get_partition_keys())) if subset is not None else None
