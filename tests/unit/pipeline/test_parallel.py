"""The second process of a reading, as the first one keeps it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from warp_resources.errors import ConnectionLost, FencedOut
from warp_resources.model.positions import GenerationState, KeyRange, SliceState
from warp_resources.model.tables import TableId
from warp_resources.pipeline import parallel
from warp_resources.pipeline.engine import Engine
from warp_resources.pipeline.parallel import ReadingWish
from warp_resources.pipeline.payload import Work

SLICES = tuple(SliceState("resync-1", f"slice-{number:02d}", KeyRange(), None, is_done=False) for number in range(2))
READING = GenerationState(TableId("shop", "users"), "resync-1", 1, True, SLICES)
ENGINE = cast("Engine", SimpleNamespace(unit=None, run_id="run-1", destination=None))


def no_answer(*_: Any) -> None:
    raise ConnectionLost("No answer")


def test_a_helper_is_ended_also_where_the_destination_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    # SPEC: M5  FAULTS: 19
    ended: list[bool] = []

    class Helper:
        def __init__(self, work: Work) -> None:
            pass

        def close(self, *, has_work: bool) -> None:
            ended.append(has_work)

    monkeypatch.setattr(parallel, "SliceHelper", Helper)
    monkeypatch.setattr(parallel, "may_help", lambda unit: True)
    monkeypatch.setattr(parallel, "state_of", no_answer)
    wish = ReadingWish(may_share=True, is_large=True)
    with pytest.raises(FencedOut), parallel._helped(ENGINE, READING, wish, 0):
        raise FencedOut("Lost")
    with pytest.raises(ConnectionLost), parallel._helped(ENGINE, READING, wish, 0):
        pass
    assert ended == [True, True]
