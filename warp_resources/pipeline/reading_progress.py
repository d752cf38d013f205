"""Says how far the reading of a table has come, and when it will be at its end."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from warp_resources.model.positions import GenerationState, SliceState


@dataclass(frozen=True, slots=True)
class ReadingProgress:
    """What is known of a reading, whoever reads it, and of what was read before a crash.

    ``row_estimate``: of all its slices, never below ``rows``; None where nothing tells. ``reader_count``: processes
    that are at it. ``seconds_left`` is None where nobody reads or the size is not known.
    """

    schema: str
    table: str
    generation: str
    opened_at: datetime | None
    slices_done: int
    slice_count: int
    reader_count: int
    rows: int
    row_estimate: int | None
    rows_per_second: float
    seconds_left: float | None

    def __str__(self) -> str:
        about = "" if self.row_estimate is None else f" of about {self.row_estimate:,}"
        parts = [f"{self.rows:,}{about} rows", f"{self.slices_done} of {self.slice_count} slices"]
        if self.rows_per_second:
            parts.append(f"{self.rows_per_second:,.0f} rows/s")
        if self.seconds_left is not None:
            parts.append(f"{duration(self.seconds_left)} left")
        return ", ".join(parts)


def progress_of(
    reading: GenerationState,
    row_estimate: int | None,
    reader_count: int,
    rows_per_second: float | None = None,
) -> ReadingProgress:
    """How far a reading is, by the figures that its slices keep.

    The rest takes as long as the readers need together, or as one needs for the largest slice that is left.

    Args:
        row_estimate: the rows of all its slices; None, and also a number that turned out too low, is made up for by
            the slices that are done.
        rows_per_second: what all readers together were seen to do; by default what each did on average so far.
    """
    rows, read_seconds = sum(part.row_count for part in reading.slices), sum(part.seconds for part in reading.slices)
    undone = [part for part in reading.slices if not part.is_done]
    readers = min(reader_count, len(undone) or len(reading.slices))
    speed = (rows / read_seconds if read_seconds else 0.0) * readers if rows_per_second is None else rows_per_second
    total = _total(reading.slices, rows, row_estimate)
    return ReadingProgress(
        schema=reading.table.schema,
        table=reading.table.name,
        generation=reading.generation,
        opened_at=reading.opened_at,
        slices_done=len(reading.slices) - len(undone),
        slice_count=len(reading.slices),
        reader_count=readers,
        rows=rows,
        row_estimate=total,
        rows_per_second=round(speed, 1),
        seconds_left=_seconds_left(reading.slices, total, speed, readers),
    )


def only_slices(reading: GenerationState, names: frozenset[str]) -> GenerationState:
    """The reading as if it had no other slices than these."""
    return replace(reading, slices=tuple(part for part in reading.slices if part.name in names))


def duration(seconds: float) -> str:
    """A time as people say it: ``45 s``, ``3 min 20 s``, ``2 h 5 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _total(slices: tuple[SliceState, ...], rows: int, row_estimate: int | None) -> int | None:
    done = [part.row_count for part in slices if part.is_done]
    if len(done) == len(slices):
        return rows
    if row_estimate is None or row_estimate < rows:
        # A plan cuts into even slices: those that are done say what the others have.
        if not done:
            return None if row_estimate is None else rows
        row_estimate = sum(done) * len(slices) // len(done)
    return max(rows, row_estimate)


def _seconds_left(slices: tuple[SliceState, ...], total: int | None, speed: float, readers: int) -> float | None:
    undone = [part for part in slices if not part.is_done]
    if not undone:
        return 0.0
    if total is None or not speed or not readers:
        return None
    rest = total - sum(part.row_count for part in slices)
    share = (total - sum(part.row_count for part in slices if part.is_done)) / len(undone)
    largest = min(rest, max(share - part.row_count for part in undone))
    return round(max(rest, largest * readers) / speed, 1)
