"""The sensor of a schema: its ticks are the mandate of the drainer, and tell Dagster what was done."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg

from warp_resources.config import WarpConfig
from warp_resources.connectors.interfaces import Destination, Source, StateStore
from warp_resources.connectors.registry import destination_class
from warp_resources.dagster_bridge import keys
from warp_resources.dagster_bridge.catalog import Table, covers
from warp_resources.dagster_bridge.partitions import WindowKeeper, keep_windows
from warp_resources.errors import WarpError
from warp_resources.masking import mask
from warp_resources.pipeline.options import open_destination, open_source, open_state
from warp_sensors.drainer import Drainer
from warp_sensors.memory import Memory
from warp_sensors.reload import request_reload
from warp_sensors.reports import Reporter

# The daemon looks at its sensors every 5 s, which is then the interval; 0 would mean 30.
MINIMUM_SECONDS = 1
WINDOWS_SECONDS = 60.0
WINDOWS_BUDGET_SECONDS = 5.0
"""For the earliest rows of tables in one tick."""

RECENT = timedelta(minutes=10)

ASK_AGAIN_SECONDS = 300.0
"""Until a reload that did not bring all tables is asked for once more."""


def changes_sensor(config: WarpConfig, schema: str, tables: Sequence[Table]) -> dg.SensorDefinition:
    """``changes_<schema>``, running unless somebody switches it off, which stops the stream."""
    watcher = _Watcher(config, schema, tables)

    def tick(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        return watcher.tick(context)

    return dg.SensorDefinition(
        name=keys.changes_sensor(schema),
        evaluation_fn=tick,
        minimum_interval_seconds=MINIMUM_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        # It starts no runs: the selection is what puts it on the pages of its assets.
        asset_selection=dg.AssetSelection.assets(*(keys.asset_key(table.settings.table) for table in tables))
        if tables
        else None,
        description=f"Keeps {schema} streaming while it is on; each tick says who streams, and reports what was done.",
    )


class _Watcher:
    """One schema as this process watches it: its connections live as long as the process."""

    def __init__(self, config: WarpConfig, schema: str, tables: Sequence[Table]) -> None:
        self._config = config
        self._schema = schema
        self._tables = {table.name: table.settings for table in tables}
        self._drainer = Drainer(config, schema)
        self._windows = WindowKeeper()
        self._windows_at = -WINDOWS_SECONDS
        self._busy = threading.Lock()
        self._opened: tuple[Source, Destination, StateStore] | None = None

    def tick(self, context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        if not self._busy.acquire(blocking=False):
            return dg.SkipReason("The tick before this one is still at work.")
        try:
            return self._tick(context)
        except WarpError as error:
            raise dg.Failure(mask(str(error))) from None
        finally:
            self._busy.release()

    def _tick(self, context: dg.SensorEvaluationContext) -> dg.SensorResult:
        source, destination, store = self._connections()
        memory = Memory.read(context.cursor)
        told = [self._drainer.keep(store)]
        if self._drainer.is_failing:
            told += self._cause(destination)
        self._keep_windows(context.instance, destination, lambda: self._drainer.renew(store))
        self._drainer.renew(store)
        reporter = Reporter(self._schema, self._tables, source, destination, context.instance)
        states = destination.table_states(self._schema)
        events = reporter.events(memory, time.time(), states)
        told += look_for_new_tables(self._config, self._schema, self._tables, destination, memory, states)
        self._drainer.renew(store)
        return dg.SensorResult(skip_reason=" ".join(told), asset_events=events, cursor=memory.text())

    def _connections(self) -> tuple[Source, Destination, StateStore]:
        """Opened at the first tick; a broken one is made anew by itself. The source is never connected."""
        if self._opened is None:
            store = open_state(self._config, open_destination(self._config))
            self._opened = open_source(self._config), open_destination(impatient(self._config)), store
        return self._opened

    def _cause(self, destination: Destination) -> list[str]:
        """Why the stream stopped, as its last run says."""
        runs = destination.recent_runs(self._schema, RECENT)
        causes = [run.error for run in runs if not run.table.name and run.error]
        return [mask(causes[-1])] if causes else ["The log of the code server has the cause."]

    def _keep_windows(
        self, instance: dg.DagsterInstance, destination: Destination, renew: Callable[[], object]
    ) -> None:
        if time.monotonic() - self._windows_at < WINDOWS_SECONDS:
            return
        self._windows_at = time.monotonic()
        until = time.monotonic() + WINDOWS_BUDGET_SECONDS
        wanted = self._windows.current(list(self._tables.values()), destination, datetime.now(UTC), until=until)
        for name, windows in wanted.items():
            keep_windows(instance, name, windows, renew)


def impatient(config: WarpConfig) -> WarpConfig:
    """The configuration with a destination that gives up early.

    Somebody may have locked the table that it is asked about, and a stream must not wait for what is reported of it.
    """
    patience = destination_class(config.destination.type).capabilities.patience
    timeout = min(config.destination.transaction_timeout, patience)
    destination = config.destination.model_copy(update={"transaction_timeout": timeout})
    return config.model_copy(update={"destination": destination})


def look_for_new_tables(
    config: WarpConfig,
    schema: str,
    known: Collection[str],
    destination: Destination,
    memory: Memory,
    states: Collection[str] | None = None,
) -> list[str]:
    """Ask that tables which were created meanwhile become assets.

    Once for each, and again after some minutes: the databases may not have answered the load that was asked for.

    Args:
        states: the names of the tables that the destination has a state of, where they have been asked for already.
    """
    stored = destination.table_states(schema) if states is None else states
    new = sorted(name for name in stored if name not in known and covers(config, schema, name))
    if not new:
        memory.asked_for = []
        return []
    if set(new) <= set(memory.asked_for) and time.time() - memory.asked_at < ASK_AGAIN_SECONDS:
        return [f"Reload the code location to see {', '.join(new)}."]
    memory.asked_for, memory.asked_at = new, time.time()
    asked = request_reload()
    return [
        f"New: {', '.join(new)}; "
        + ("a reload was asked for." if asked else "reload the code location to see them as assets.")
    ]
