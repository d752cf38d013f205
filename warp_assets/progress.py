"""Tells in the log of a run how far its reading of a table is."""

from __future__ import annotations

import time

import dagster as dg

from warp_resources.pipeline.parallel import ReadingWish
from warp_resources.pipeline.reading_progress import ReadingProgress

LINE_EVERY_SECONDS = 10.0


def told_in(log: dg.DagsterLogManager) -> ReadingWish:
    """A wish for readings whose progress is a line of the run's log now and then, and at their end."""
    told_at: dict[str, float] = {}

    def tell(progress: ReadingProgress) -> None:
        is_read = progress.slices_done == progress.slice_count
        seconds = time.monotonic() - told_at.setdefault(progress.table, time.monotonic())
        if is_read or seconds >= LINE_EVERY_SECONDS:
            told_at[progress.table] = time.monotonic()
            log.info(f"{progress.schema}.{progress.table}: {progress}")

    return ReadingWish(on_progress=tell)
