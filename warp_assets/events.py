"""Tells what a job did to a table: one materialization for each partition touched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TypeAlias

import dagster as dg

from warp_resources.config import TableSettings
from warp_resources.connectors.interfaces import Destination
from warp_resources.dagster_bridge import keys
from warp_resources.dagster_bridge.metadata import Happening, materialization_metadata, place_metadata
from warp_resources.dagster_bridge.partitions import DAY, WindowKeeper, keep_windows, slice_keys, windows_name
from warp_resources.dagster_bridge.windows import UNMARKED, key_at, window_keys

Event: TypeAlias = dg.AssetMaterialization | dg.AssetObservation

MOST_EVENTS = 1_000
"""Of one table in one run: after a first load of decades of days, the newest are told of."""


def events_of(
    instance: dg.DagsterInstance, destination: Destination, done: Happening, partitions: Sequence[str | None]
) -> Iterator[Event]:
    """One event per partition, the last of which has the metadata; none touched is an observation.

    The partition None is that of changes which may be anywhere in the table.
    """
    key = keys.asset_key(done.table)
    if not partitions:
        yield dg.AssetObservation(key, metadata=place_metadata(done))
        return
    chosen = list(partitions[-MOST_EVENTS:])
    for partition in chosen[:-1]:
        yield dg.AssetMaterialization(key, partition=partition)
    metadata = materialization_metadata(destination, instance, done)
    yield dg.AssetMaterialization(key, partition=chosen[-1], metadata=metadata)


def all_windows(
    instance: dg.DagsterInstance, destination: Destination, table: TableSettings, now: datetime
) -> list[str]:
    """Every window of a batch table, made known to the instance first, or every slice of one without a marker."""
    if table.partitions.by == "key":
        return slice_keys(table.partitions)
    for name, wanted in WindowKeeper().current([table], destination, now).items():
        keep_windows(instance, name, wanted)
    return list(instance.get_dynamic_partitions(windows_name(table.table.schema, table.partitions)))


def windows_between(instance: dg.DagsterInstance, table: TableSettings, since: datetime, until: datetime) -> list[str]:
    """The windows from the one that holds ``since`` to the one that holds ``until``, made known first."""
    found = window_keys(table.partitions.every or DAY, since, max(since, until))
    keep_windows(instance, windows_name(table.table.schema, table.partitions), found)
    return found


def windows_within(known: Sequence[str], every: str, since: datetime | None, until: datetime | None) -> list[str]:
    """Those of the known windows that hold a time from ``since`` on and before ``until``; None is open."""
    # Keys of one calendar sort as their times do.
    first = "" if since is None else key_at(every, since)
    last = None if until is None else key_at(every, until - timedelta.resolution)
    return [key for key in known if key != UNMARKED and first <= key and (last is None or key <= last)]
