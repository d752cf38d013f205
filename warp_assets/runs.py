"""Tells what a run of Dagster's did to its tables, and fails it where one of them failed."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg

from warp_assets.filling import RESYNC, Task
from warp_assets.generations import read_before
from warp_assets.work import Outcome
from warp_resources.connectors.interfaces import Destination
from warp_resources.dagster_bridge.metadata import Happening
from warp_resources.masking import mask
from warp_resources.model.positions import Position
from warp_resources.model.tables import TableId
from warp_resources.pipeline.engine import STREAM, Unit


def begin(
    instance: dg.DagsterInstance, run: dg.DagsterRun, destination: Destination, schema: str, task: Task
) -> frozenset[str]:
    """Mark a run with what it does; the tables that it need not read, since it goes on with a resync."""
    instance.add_run_tags(run.run_id, task.tags)
    if task.mode != RESYNC:
        return frozenset()
    return read_before(run.with_tags({**run.tags, **task.tags}), instance, destination, schema)


def done_by(destination: Destination, unit: Unit, run_id: str, outcome: Outcome) -> Happening:
    """All that a run has done to a table, by the figures that the engine kept of it."""
    table = TableId(unit.schema, outcome.table)
    mine = [run for run in destination.figures_of_run(unit.schema, run_id) if run.table == table]
    return Happening(
        table=table,
        rows_written=sum(run.rows_written for run in mine),
        rows_deleted=sum(run.rows_deleted for run in mine),
        rows_rejected=sum(run.rows_rejected for run in mine),
        byte_count=sum(run.byte_count for run in mine),
        position=outcome.position or (_stream_position(destination, unit.schema) if unit.mode == STREAM else None),
        lag_seconds=outcome.seconds,
        rows_read=outcome.progress.rows if outcome.progress else None,
        rows_per_second=outcome.progress.rows_per_second if outcome.progress else None,
    )


def _stream_position(destination: Destination, schema: str) -> Position | None:
    """What the tables of a stream are as new as."""
    state = destination.stream_state(schema)
    return state.position if state is not None else None


def refuse_failures(schema: str, failed: Sequence[Outcome]) -> None:
    """Fail the run, now that every table had its turn."""
    if failed:
        # An outcome without a table is of the whole schema, such as a database that does not exist.
        named = [f"{schema}.{outcome.table}" if outcome.table else schema for outcome in failed]
        causes = [f"{name}: {mask(str(outcome.error))}" for name, outcome in zip(named, failed, strict=True)]
        raise dg.Failure(f"{len(failed)} failed:\n" + "\n".join(causes), allow_retries=False)
