"""Hands a drainer what its sensor goes by, so that a file which was edited since cannot part the two."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import IO

from warp_resources.config import WarpConfig


@dataclass(frozen=True, slots=True)
class Handover:
    """The configuration that the sensor was loaded with, and the label by which it knows the drainer of it."""

    config: WarpConfig
    label: str


def hand_over(stdin: IO[bytes], handover: Handover) -> None:
    """Give it to a drainer that was just started: it shows in no list of processes."""
    try:
        with stdin:
            pickle.dump(handover, stdin)
    except BrokenPipeError:
        # It is gone already: whoever reaps it hears how it ended.
        return


def receive(stdin: IO[bytes]) -> Handover:
    """In the drainer: what its sensor goes by."""
    handover = pickle.load(stdin)
    if not isinstance(handover, Handover):
        raise TypeError("standard input does not hold what a sensor hands to its drainer")
    return handover
