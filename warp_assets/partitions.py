"""Chooses the partitions definition of a table: windows of the marker column, or slices of its keys."""

from __future__ import annotations

import dagster as dg

from warp_resources.config import PartitionSettings
from warp_resources.dagster_bridge.partitions import slice_keys, windows_name


def partitions_definition(schema: str, settings: PartitionSettings) -> dg.PartitionsDefinition[str]:
    """The partitions of the tables that have these settings.

    Windows are dynamic partitions: a time-window definition cannot have a key beside its windows, which the
    rows without a marker need, and a static one would end with the day on which the code was loaded.
    """
    if settings.by == "time":
        return dg.DynamicPartitionsDefinition(name=windows_name(schema, settings))
    return dg.StaticPartitionsDefinition(slice_keys(settings))
