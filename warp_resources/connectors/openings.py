"""Decides what a reading of a whole table is made of, and which of its slices are told as read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from warp_resources.errors import OperatorError
from warp_resources.model.positions import ChunkCommit, GenerationState, KeyRange, SliceState, slice_name
from warp_resources.model.reports import FinishedSlice

TOLD_FOR = timedelta(hours=2)
"""How long a slice is told as read, also after its reading has ended."""


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


def replaces(known: Sequence[KeyRange], ranges: Sequence[KeyRange], *, is_read: bool) -> bool:
    """Whether a new plan takes the place of the stored one: there is none, or another number is wanted.

    Args:
        is_read: a reading of the table is open: its slices are those of the stored plan, and of no other.
    """
    return not known or (len(known) != len(ranges) and not is_read)


def told_slices(told: Iterable[FinishedSlice], commit: ChunkCommit, at: datetime) -> tuple[FinishedSlice, ...]:
    """The slices that are told as read, with the one of a commit if that was its last."""
    recent = [one for one in told if one.finished_at > at - TOLD_FOR]
    if commit.is_done:
        recent.append(FinishedSlice(commit.table, commit.generation, commit.slice, at))
    return tuple(recent)


def recent_slices(told: Iterable[FinishedSlice], within: timedelta) -> list[FinishedSlice]:
    """Those that were read to their end within a time, in that order."""
    oldest = datetime.now(UTC) - within
    recent = (one for one in told if one.finished_at > oldest)
    return sorted(recent, key=lambda one: (one.finished_at, one.table, one.name))
