"""Works out how much a configured schema asks of its destination in a day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from croniter import croniter

from warp_resources.config import WarpConfig, effective, schema_settings
from warp_resources.model.capabilities import Capabilities
from warp_resources.model.work import Workload
from warp_resources.pipeline.dry_run import TablePlan
from warp_resources.pipeline.engine import STREAM, Unit
from warp_resources.pipeline.options import write_interval

_DAY = timedelta(days=1)


def workload_of(config: WarpConfig, schema: str, plans: Sequence[TablePlan], capabilities: Capabilities) -> Workload:
    """The daily work of the planned tables of a schema, and their first load."""
    mine = [plan for plan in plans if plan.table.schema == schema]
    batch = [plan.table.name for plan in mine if plan.mode != STREAM]
    loads = [plan for plan in mine if plan.first_load]
    interval = write_interval(config, capabilities)
    return Workload(
        schema=schema,
        stream_tables=len(mine) - len(batch),
        batch_tables=len(batch),
        min_interval=interval,
        ticks_per_day=_ticks(config, schema, batch, interval) if batch else 0.0,
        first_load_tables=len(loads),
        first_load_bytes=sum(plan.byte_estimate for plan in loads),
        chunk_bytes=Unit(config, schema, STREAM).max_bytes,
        table_bytes=sum(plan.byte_estimate for plan in mine),
    )


def _ticks(config: WarpConfig, schema: str, tables: Sequence[str], interval: timedelta) -> float:
    schedule = schema_settings(config, schema).schedule
    if schedule is None:
        return _DAY / max(min(effective(config, schema, name).polling_interval for name in tables), interval)
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    times = croniter(schedule, today - timedelta(seconds=1))
    week, count = today + 7 * _DAY, 0
    while times.get_next(datetime) < week:
        count += 1
    return count / 7
