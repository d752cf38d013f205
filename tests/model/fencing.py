"""Lets a writer's transaction pass the stream's row, or ends the writer."""

from __future__ import annotations

from collections.abc import Iterator

from tests.model.rules import Rule, Rules
from tests.model.world import State, Writer, put

OLD_COMMITS = "a writer committed although another had taken over"
SAME_BASIS = "two writers committed on one basis"
WENT_BACK = "the stream's position went back"
AN_OLDER_ROW = "a row went back to what it was before"


def committed(
    state: State,
    number: int,
    rules: Rules,
    position: int | None = None,
    own: int | None = -1,
    kept: int | None = -1,
) -> Iterator[tuple[bool, State]]:
    """A commit of the stream's row, if its fence lets it pass: whether it was refused, and the state after it.

    ``position``: where the stream is with it, else it stays. ``own`` and ``kept``: table A's place for the writer
    and for the destination.
    """
    its = state.writers[number]
    is_stopped = (not its.epoch and Rule.EPOCH in rules) or (not its.sequence and Rule.SEQUENCE in rules)
    if is_stopped:
        yield True, with_writer(state, number, Writer())
        return
    fault = state.fault
    if not its.epoch:
        fault = OLD_COMMITS
    elif not its.sequence:
        fault = SAME_BASIS
    elif position is not None and its.at < (state.position or 0):
        fault = WENT_BACK
    at = its.at if position is None else position
    place = its.place if own == -1 else own
    its = its._replace(sequence=True, at=at, place=place, is_ready=its.is_ready and place == its.place)
    writers = tuple(other._replace(sequence=False) for other in state.writers)
    yield (
        False,
        state._replace(
            writers=put(writers, number, its),
            position=state.position if position is None else position,
            place=state.place if kept == -1 else kept,
            fault=fault,
        ),
    )


def with_writer(state: State, number: int, its: Writer) -> State:
    return state._replace(writers=put(state.writers, number, its))
