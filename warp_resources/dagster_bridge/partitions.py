"""Names the partitions of tables and keeps the windows of batch tables up to date in the instance."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from datetime import datetime

import dagster as dg

from warp_resources.config import PartitionSettings, TableSettings
from warp_resources.connectors.interfaces import Destination
from warp_resources.dagster_bridge.keys import dagster_name
from warp_resources.dagster_bridge.windows import UNMARKED, first_window, window_keys
from warp_resources.errors import TransientError
from warp_resources.model.positions import slice_name
from warp_resources.model.tables import TableId

DAY = "day"
_ASK_AGAIN_SECONDS = 300.0
_KEYS_BETWEEN = 500


def slice_keys(settings: PartitionSettings) -> list[str]:
    """The partitions of a stream table: slices of its keys."""
    return list(map(slice_name, range(settings.slices or 0)))


def windows_name(schema: str, settings: PartitionSettings) -> str:
    """The name under which the instance keeps windows; tables with the same windows share it."""
    start = f"_from_{settings.start:%Y%m%d}" if settings.start else ""
    return f"{dagster_name(schema)}_{settings.every or DAY}{start}"


class WindowKeeper:
    """Says which windows there should be, asking for a table's earliest row only now and then."""

    def __init__(self) -> None:
        self._earliest: dict[TableId, datetime] = {}
        self._ask_at: dict[TableId, float] = {}

    def current(
        self, tables: Sequence[TableSettings], destination: Destination, now: datetime, *, until: float = math.inf
    ) -> dict[str, list[str]]:
        """The keys of each set of windows, by its name, that of the unmarked rows first.

        No table is asked for its earliest row from the monotonic time ``until`` on: another call goes on.
        """
        begins: dict[tuple[str, str], datetime] = {}
        for table in tables:
            settings = table.partitions
            if settings.by == "time":
                its = (windows_name(table.table.schema, settings), settings.every or DAY)
                earliest = self._earliest_of(table, destination, until) if settings.start is None else None
                begin = first_window(settings.start, earliest, now)
                begins[its] = min(begins.get(its, begin), begin)
        return {name: [UNMARKED, *window_keys(every, begin, now)] for (name, every), begin in begins.items()}

    def _earliest_of(self, table: TableSettings, destination: Destination, until: float) -> datetime | None:
        its = table.table
        if its not in self._earliest and self._ask_at.get(its, 0.0) <= time.monotonic() < until:
            try:
                found = destination.earliest(its, table.partitions.column or table.marker_column)
                is_empty = found is None and not destination.row_estimate(its)
            except TransientError:
                # Somebody locked it.
                found, is_empty = None, False
            if found is not None:
                self._earliest[its] = found
            elif not is_empty:
                # It holds no time, or takes long to search.
                self._ask_at[its] = time.monotonic() + _ASK_AGAIN_SECONDS
        return self._earliest.get(its)


def keep_windows(
    instance: dg.DagsterInstance, name: str, keys: Sequence[str], tell: Callable[[], object] | None = None
) -> None:
    """Make the instance know at least these keys, in order; windows that it has beyond them stay.

    ``tell`` is called now and then, since thousands of keys take their time.
    """
    known = list(instance.get_dynamic_partitions(name))
    missing = sorted(set(keys) - set(known), key=lambda key: (key != UNMARKED, key))
    if not missing:
        return
    if known and missing[0] < known[-1]:
        # Keys are listed as they were added: what belongs before others goes in together with them again.
        for count, key in enumerate(known, start=1):
            instance.delete_dynamic_partition(name, key)
            if tell is not None and count % _KEYS_BETWEEN == 0:
                tell()
        missing = [UNMARKED, *sorted({*known, *keys} - {UNMARKED})]
    instance.add_dynamic_partitions(name, missing)
