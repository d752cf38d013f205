"""Visits every state of a model that can be reached, nearest first, and finds the way to an end that is wrong."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar


class Explored(Protocol):
    """A state of a model: frozen, so that it is found again."""

    @property
    def is_end(self) -> bool: ...

    @property
    def is_right(self) -> bool: ...


S = TypeVar("S", bound=Explored)


@dataclass(frozen=True, slots=True)
class Outcome:
    """``violation``: the steps to the nearest end that is wrong, None where there is none."""

    state_count: int
    end_count: int
    violation: tuple[str, ...] | None


def explore_from(start: S, steps: Callable[[S], Iterable[tuple[str, S]]]) -> Outcome:
    """Follow all steps from a state."""
    came_from: dict[S, tuple[S, str] | None] = {start: None}
    queue, end_count = deque([start]), 0
    while queue:
        state = queue.popleft()
        if state.is_end:
            end_count += 1
            if not state.is_right:
                return Outcome(len(came_from), end_count, _path(came_from, state))
        for step, following in steps(state):
            if following not in came_from:
                came_from[following] = (state, step)
                queue.append(following)
    return Outcome(len(came_from), end_count, None)


def _path(came_from: dict[S, tuple[S, str] | None], state: S) -> tuple[str, ...]:
    steps: list[str] = []
    before = came_from[state]
    while before is not None:
        steps.append(before[1])
        before = came_from[before[0]]
    return tuple(reversed(steps))
