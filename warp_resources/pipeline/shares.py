"""Deals the slices of a table's plan to its partitions, so that all partitions together are always the whole table."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from warp_resources.model.positions import slice_name


def slices_of(partitions: Collection[str], count: int, planned: Sequence[str]) -> list[str]:
    """The slices that some of a table's ``count`` partitions stand for, in plan order.

    A plan outlives the setting that it was made for. Where it has more slices than there are partitions, each
    partition stands for neighbours among them; where it has fewer, the last partitions are empty.
    """
    names = [slice_name(_partition_of(ordinal, count, len(planned))) for ordinal in range(len(planned))]
    return [name for name, partition in zip(planned, names, strict=True) if partition in partitions]


def partitions_of(slices: Collection[str], count: int, planned: int) -> list[str]:
    """The partitions, of ``count``, all of whose slices are among those given; empty ones come with the last slice."""
    plan = [slice_name(ordinal) for ordinal in range(planned)]
    is_whole = set(plan) <= set(slices)
    shares = {name: slices_of([name], count, plan) for name in map(slice_name, range(count))}
    return [name for name, share in shares.items() if is_whole or (share and set(share) <= set(slices))]


def _partition_of(ordinal: int, count: int, planned: int) -> int:
    return ordinal if planned <= count else ordinal * count // planned
