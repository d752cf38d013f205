"""How large the chunks of a reading are, by how long their commits keep a stream waiting."""

from __future__ import annotations

import pytest

from warp_resources.connectors.interfaces import ReadLimits
from warp_resources.pipeline.chunk_pace import FEWEST_ROWS, LOCKED_SECONDS, ChunkPace

LONG, SHORT = LOCKED_SECONDS * 4, LOCKED_SECONDS / 4


def test_it_is_for_the_source_to_say_while_nobody_waits() -> None:
    # SPEC: C3
    pace = ChunkPace()
    pace.committed(32_000, 0.0)
    pace.committed(32_000, LOCKED_SECONDS)
    assert pace.limits(ReadLimits(None, 100)) == ReadLimits(None, 100)
    assert pace.limits(ReadLimits(5_000, 100)) == ReadLimits(5_000, 100)


def test_chunks_shrink_to_what_is_committed_in_time_and_grow_again() -> None:
    # SPEC: M5
    pace = ChunkPace()
    pace.committed(32_000, LONG)
    assert pace.limits(ReadLimits(None, 100)) == ReadLimits(8_000, 100)
    # The end of a slice says nothing of what a whole chunk would take.
    pace.committed(10, SHORT)
    assert pace.max_rows == 8_000
    pace.committed(8_000, SHORT)
    assert pace.max_rows == 16_000


@pytest.mark.parametrize(("seconds", "rows"), [(LONG * 1000, FEWEST_ROWS), (LONG, 8_000)])
def test_no_chunk_is_smaller_than_is_worth_it(seconds: float, rows: int) -> None:
    # SPEC: M5
    pace = ChunkPace()
    pace.committed(32_000, seconds)
    assert pace.max_rows == rows


def test_what_the_user_set_is_never_exceeded() -> None:
    # SPEC: C3
    pace = ChunkPace()
    pace.committed(32_000, LONG)
    assert pace.limits(ReadLimits(100, 100)) == ReadLimits(100, 100)


def test_a_slow_line_is_not_made_up_for_by_smaller_chunks() -> None:
    """Of a second, a thousand rows make up a hundredth: chunks of the fewest rows would read a table for days."""
    # SPEC: M5  FAULTS: 22
    pace = ChunkPace(8_000)
    seen = []
    for _ in range(12):
        rows = pace.limits(ReadLimits(None, 100)).max_rows or 0
        seen.append(rows)
        pace.committed(rows, 1.0 + rows / 100_000)
    assert min(seen) == FEWEST_ROWS
    assert min(seen[-4:]) > 30_000
