"""The one queue between reading and writing."""

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest

from warp_resources.connectors.interfaces import ReadLimits
from warp_resources.errors import TransientError
from warp_resources.model.batches import Changes, TableEvent, TableEventKind
from warp_resources.model.tables import TableId
from warp_resources.pipeline.reader import READ_AHEAD, StreamReader

WAIT = timedelta(seconds=10)


class ScriptedStream:
    """A stream that plays back a script, then waits to be closed."""

    def __init__(self, script: Iterator[Changes | Exception | None]) -> None:
        self.script = script
        self.delivered = 0
        self.exhausted = threading.Event()
        self.is_closed = False

    def next(self, limits: ReadLimits, wait: timedelta) -> Changes | None:
        step = next(self.script, None)
        if step is None:
            self.exhausted.set()
            return None
        if isinstance(step, Exception):
            raise step
        self.delivered += 1
        return step

    def close(self) -> None:
        self.is_closed = True


def cut(number: int, *, has_more: bool = False) -> Changes:
    events = (TableEvent(TableEventKind.TRUNCATED, TableId("shop", "users")),)
    return Changes((), {"n": number}, events=events, has_more=has_more)


def test_cuts_arrive_in_order_and_the_stream_is_closed() -> None:
    stream = ScriptedStream(cut(n) for n in range(20))
    reader = StreamReader(stream, ReadLimits(None, 1000))
    assert [reader.get(WAIT).position["n"] for _ in range(20)] == list(range(20))  # type: ignore[union-attr]
    assert reader.get(timedelta(0)) is None
    reader.close()
    assert stream.is_closed


def test_reading_ahead_is_bounded() -> None:
    stream = ScriptedStream(cut(n) for n in range(1000))
    reader = StreamReader(stream, ReadLimits(None, 1000))
    first = reader.get(WAIT)
    assert first is not None
    reader.close()
    assert stream.delivered <= READ_AHEAD + 3


def test_what_the_stream_raises_is_raised_after_the_cuts_before_it() -> None:
    stream = ScriptedStream(iter([cut(1), TransientError("The connection was lost")]))
    reader = StreamReader(stream, ReadLimits(None, 1000))
    assert reader.get(WAIT) == cut(1)
    with pytest.raises(TransientError):
        reader.get(WAIT)
    reader.close()


def test_within_the_interval_only_a_cut_with_more_behind_it_is_followed_and_closing_waits_for_nothing() -> None:
    # SPEC: C3 M6
    script = [cut(1, has_more=True), cut(2, has_more=True), cut(3), cut(4)]
    stream = ScriptedStream(iter(script))
    reader = StreamReader(stream, ReadLimits(None, 1000), interval=timedelta(hours=1))
    assert [reader.get(WAIT) for _ in range(3)] == script[:3]
    assert reader.get(timedelta(milliseconds=20)) is None
    assert stream.delivered == 3
    reader.close()


def test_after_the_interval_the_stream_is_asked_once_the_cut_before_is_written() -> None:
    # SPEC: C3
    stream = ScriptedStream(iter([cut(1), cut(2)]))
    reader = StreamReader(stream, ReadLimits(None, 1000), interval=timedelta(milliseconds=1))
    assert reader.get(WAIT) == cut(1)
    assert not stream.exhausted.wait(0.02)
    assert stream.delivered == 1
    assert reader.get(WAIT) == cut(2)
    reader.close()
