"""Visits every state of a model that can be reached, nearest first, and finds the way to what must not be."""

from __future__ import annotations

import gc
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, TypeAlias, TypeVar

STUCK = "from here no end can be reached without help from outside"


class Explored(Hashable, Protocol):
    """A state of a model: immutable, so that it is found again. ``fault`` says what is wrong in it, if anything."""

    @property
    def fault(self) -> str: ...

    @property
    def is_end(self) -> bool: ...


S = TypeVar("S", bound=Explored)
Step: TypeAlias = tuple[str, S, bool]
"""What happens, the state after it, and whether the protocol itself does it: else it is a trouble from outside."""


@dataclass(frozen=True, slots=True)
class Violation:
    """What is wrong, and the shortest way there."""

    fault: str
    steps: tuple[str, ...]

    def __str__(self) -> str:
        ways = [f"  {number:2}. {step}" for number, step in enumerate(self.steps, 1)]
        return "\n".join([self.fault, *ways])


@dataclass(frozen=True, slots=True)
class Outcome:
    """``depth``: steps to the farthest state. ``violation``: None where nothing is wrong."""

    state_count: int
    end_count: int
    depth: int
    violation: Violation | None


def explore(start: S, steps: Callable[[S], Iterable[Step[S]]], most_states: int = 10_000_000) -> Outcome:
    """Follow all steps from a state; stops at the first fault.

    Without one it is asked of every state whether an end can be reached from it by what the protocol itself does.
    """
    with _without_collector():
        return _explore(start, steps, most_states)


def _explore(start: S, steps: Callable[[S], Iterable[Step[S]]], most_states: int) -> Outcome:
    numbers: dict[S, int] = {start: 0}
    states, parents, told, depths = [start], [-1], [""], [0]
    into: list[list[int]] = [[]]
    ends: list[int] = []
    number = 0
    while number < len(states):
        state = states[number]
        if state.is_end:
            ends.append(number)
        for text, after, is_help in steps(state):
            found = numbers.get(after)
            if found is None:
                found = numbers[after] = len(states)
                states.append(after)
                parents.append(number)
                told.append(text)
                depths.append(depths[number] + 1)
                into.append([])
                if after.fault:
                    return Outcome(found + 1, len(ends), depths[-1], _violation(after.fault, parents, told, found))
            if is_help:
                into[found].append(number)
        number += 1
        if len(states) > most_states:
            raise AssertionError(f"more than {most_states} states")
    stuck = _first_stuck(into, ends)
    violation = None if stuck is None else _violation(STUCK, parents, told, stuck)
    return Outcome(len(states), len(ends), depths[-1], violation)


def _first_stuck(into: list[list[int]], ends: list[int]) -> int | None:
    """The nearest state from which no end is reached by steps that help."""
    is_live = bytearray(len(into))
    left = list(ends)
    for end in ends:
        is_live[end] = 1
    while left:
        for before in into[left.pop()]:
            if not is_live[before]:
                is_live[before] = 1
                left.append(before)
    found = is_live.find(0)
    return None if found < 0 else found


def _violation(fault: str, parents: list[int], told: list[str], last: int) -> Violation:
    steps = []
    while last > 0:
        steps.append(told[last])
        last = parents[last]
    return Violation(fault, tuple(reversed(steps)))


@contextmanager
def _without_collector() -> Iterator[None]:
    """Millions of tuples without a circle among them are looked through in vain."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
