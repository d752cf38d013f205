"""Decides what a reading of a whole table is made of when it is opened, or gets further slices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from warp_resources.errors import OperatorError
from warp_resources.model.positions import GenerationState, KeyRange, SliceState, slice_name


def with_slices(
    known: GenerationState, plan: Sequence[KeyRange], names: Sequence[str] | None, *, removes_stale: bool
) -> GenerationState:
    """A reading over the named slices of the plan, None meaning all, beside those that it has already.

    Args:
        known: the reading as it is; a new one has no slices.

    Raises:
        OperatorError: there is no plan, or a slice is not in it.
    """
    if not plan:
        raise OperatorError("The table has no plan", remedy="Plan the table first", table=known.table)
    ranges = {slice_name(number): key_range for number, key_range in enumerate(plan)}
    unknown = [name for name in names or () if name not in ranges]
    if unknown:
        raise OperatorError(
            f"The plan has no slice {unknown[0]!r}", remedy=f"Choose of {', '.join(ranges)}", table=known.table
        )
    wanted = set(ranges if names is None else names)
    reached = {part.name: part for part in known.slices}
    slices = tuple(
        reached.get(name) or SliceState(known.generation, name, key_range, None, False)
        for name, key_range in ranges.items()
        if name in wanted or name in reached
    )
    return replace(known, is_whole=removes_stale and len(slices) == len(ranges), slices=slices)
