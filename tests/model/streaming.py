"""What a process that streams may do: take over, cover, commit cuts, start anew, crash."""

from __future__ import annotations

from collections.abc import Iterator

from tests.model.catching_up import aside_steps
from tests.model.committing import applied, content_of, ended
from tests.model.exploring import Step
from tests.model.fencing import AN_OLDER_ROW, SAME_BASIS, WENT_BACK, committed, with_writer
from tests.model.rules import Rule, Rules
from tests.model.world import (
    ADMITTED,
    ASKED,
    LEASED,
    LOAD,
    LOST,
    OFF,
    REPAIR,
    RUNNING,
    STARTING,
    TAKEN,
    A,
    Entry,
    Reading,
    Scope,
    State,
    Writer,
    has_table,
    put,
)


def writer_steps(state: State, number: int, scope: Scope, rules: Rules) -> Iterator[Step[State]]:
    its = state.writers[number]
    who = _name(its, state)
    if its.phase == OFF:
        yield from _taking(state, number, who)
        return
    if state.left.crashes:
        left = state.left._replace(crashes=state.left.crashes - 1)
        yield f"{who} crashes", with_writer(state._replace(left=left), number, Writer()), False
    if its.phase in (LEASED, ASKED):
        yield from _seizing(state, number, who, rules)
    elif its.phase == STARTING:
        yield from _starting(state, number, who, rules)
    elif its.phase == TAKEN:
        yield from _covering(state, number, who, scope, rules)
    elif its.phase == ADMITTED:
        opened = with_writer(state, number, its._replace(phase=RUNNING))
        yield from _opening(opened, f"{who} opens the first load of table A", scope)
    elif its.phase == LOST:
        yield from _restarting(state, number, who, scope, rules)
    else:
        yield from _running(state, number, who, scope, rules)


def _name(its: Writer, state: State) -> str:
    """Which of two writers it is, told by what sets them apart."""
    if len(state.writers) == 1:
        return "the writer"
    if its.phase == OFF:
        return "a writer"
    return "the writer with the lease" if its.has_lease else "the writer that was paused"


def _taking(state: State, number: int, who: str) -> Iterator[Step[State]]:
    holders = [index for index, its in enumerate(state.writers) if its.has_lease]
    taken = Writer(LEASED, has_lease=True)
    if not holders:
        if len(state.writers) == 1 and state.position is not None:
            yield f"{who} takes the lease and the epoch", _seized(state, number, state.position), True
            return
        yield f"{who} takes the lease", with_writer(state, number, taken), True
    elif state.left.lapses:
        left = state.left._replace(lapses=state.left.lapses - 1)
        holder = holders[0]
        lapsed = with_writer(state._replace(left=left), holder, state.writers[holder]._replace(has_lease=False))
        yield f"the lease lapses and {who} takes it", with_writer(lapsed, number, taken), False


def _seizing(state: State, number: int, who: str, rules: Rules) -> Iterator[Step[State]]:
    its = state.writers[number]
    if state.position is None:
        if its.phase == LEASED:
            yield f"{who} finds no row of the stream", with_writer(state, number, its._replace(phase=STARTING)), True
        return
    if Rule.SEIZE_BEFORE_POSITION in rules:
        yield f"{who} raises the epoch and reads the position", _seized(state, number, state.position), True
    elif its.phase == LEASED:
        yield (
            f"{who} reads the position",
            with_writer(state, number, its._replace(phase=ASKED, at=state.position)),
            True,
        )
    else:
        yield f"{who} raises the epoch", _seized(state, number, its.at), True


def _seized(state: State, number: int, position: int) -> State:
    """Nobody else's fence holds any more."""
    writers = tuple(its._replace(epoch=False) for its in state.writers)
    taken = Writer(TAKEN, True, True, True, position, state.place)
    return state._replace(writers=put(writers, number, taken))


def _starting(state: State, number: int, who: str, rules: Rules) -> Iterator[Step[State]]:
    if state.position is None:
        started = state._replace(position=len(state.log))
        yield f"{who} starts the stream at the log's end", _seized(started, number, len(state.log)), True
    elif Rule.START_ONCE in rules:
        yield f"{who} finds that the stream has started", with_writer(state, number, Writer(LEASED, True)), True
    else:
        moved = state._replace(position=len(state.log))
        yield f"{who} starts the stream again at the log's end", _seized(moved, number, len(state.log)), True


def _covering(state: State, number: int, who: str, scope: Scope, rules: Rules) -> Iterator[Step[State]]:
    its = state.writers[number]
    whole = [reading for reading in state.readings if reading.kind != REPAIR]
    if state.left.rests and whole and not state.readers:
        # As at a start after a day without one.
        left = state.left._replace(rests=0)
        after = TAKEN if Rule.RESTED_FIRST in rules else RUNNING
        if Rule.RESTED_FIRST in rules or state.is_covered:
            rested = ended(state._replace(left=left), None)
            yield (
                "the reading has rested for a day and ends",
                with_writer(rested, number, its._replace(phase=after)),
                False,
            )
    if state.is_listed and not state.is_covered and has_table(state, scope):
        yield from _admitted(state, number, f"{who} covers table A", rules, TAKEN)
    elif not state.is_listed and state.is_covered:
        for refused, after in committed(state, number, rules):
            if not refused:
                after = ended(after._replace(is_covered=False, is_loaded=False, place=None), None)
                after = with_writer(after, number, after.writers[number]._replace(place=None))
            yield f"{who} dismisses table A", after, True
    elif state.is_covered and not state.is_loaded and not whole and Rule.LOAD_WHEN_COVERED in rules:
        yield from _opening(state, f"{who} opens the first load of table A", scope)
    else:
        yield f"{who} opens its stream", with_writer(state, number, its._replace(phase=RUNNING)), True


def _admitted(state: State, number: int, text: str, rules: Rules, phase: int) -> Iterator[Step[State]]:
    for refused, after in committed(state, number, rules):
        if not refused:
            after = ended(after._replace(is_covered=True, is_loaded=False, place=None), None)
            after = with_writer(after, number, after.writers[number]._replace(phase=phase))
        yield text, after, True


def _opening(state: State, text: str, scope: Scope) -> Iterator[Step[State]]:
    yield text, state._replace(readings=(*state.readings, Reading(LOAD, state.seq, scope.unread))), True


def _running(state: State, number: int, who: str, scope: Scope, rules: Rules) -> Iterator[Step[State]]:
    its = state.writers[number]
    if its.held is not None:
        yield from _cut(state, number, who, its.held[0], dict(its.held[1]), scope, rules)
        return
    if its.at < state.gone:
        lost = its._replace(phase=LOST, at=len(state.log))
        yield f"{who} finds its history lost, and where the log ends now", with_writer(state, number, lost), True
        return
    for size in scope.sizes:
        end = its.at + size
        if end > len(state.log):
            continue
        content = content_of(state, its.at, end, scope)
        if scope.is_split:
            held: tuple[int, tuple[Entry, ...]] = (end, tuple(sorted(content.items())))
            yield f"{who} reads the cut up to {end}", with_writer(state, number, its._replace(held=held)), True
        else:
            yield from _cut(state, number, who, end, content, scope, rules)
    if its.at > (state.position or 0):
        for _, after in committed(state, number, rules, its.at):
            yield f"{who} saves the position {its.at}", after, True
    if state.repeat is not None:
        start, end = state.repeat
        if Rule.SEQUENCE not in rules and its.epoch:
            again = applied(state, content_of(state, start, end, scope), scope, rules)
            fault = WENT_BACK if end < (state.position or 0) else SAME_BASIS
            yield "the commit before is delivered again", again._replace(repeat=None, position=end, fault=fault), True
        else:
            yield "the commit before is delivered again and refused", state._replace(repeat=None), True
    if its.place is not None:
        yield from aside_steps(state, number, who, scope, rules)


def _cut(
    state: State, number: int, who: str, end: int, content: dict[int, int], scope: Scope, rules: Rules
) -> Iterator[Step[State]]:
    """One cut, with table A or without it."""
    its = state.writers[number]
    if not state.is_covered and state.is_listed and any(scope.keys[key][0] == A for key in content):
        yield from _admitted(state, number, f"{who} covers table A, which a cut brings", rules, ADMITTED)
        return
    start = its.at
    joins = False
    if its.place is not None:
        is_complete = (its.is_ready and its.place >= start) or Rule.JOIN_COMPLETE not in rules
        joins = is_complete and (its.place <= end or Rule.SKIP_PASSED not in rules)
    takes_part = state.is_covered and (its.place is None or joins)
    names = {key: value for key, value in content.items() if takes_part or scope.keys[key][0] != A}
    its = its._replace(held=None)
    if not names and not joins:
        yield f"{who} passes {end}", with_writer(state, number, its._replace(at=end)), True
        return
    moved = with_writer(state, number, its)
    place = None if joins else its.place
    for refused, after in committed(moved, number, rules, end, place, state.place if not joins else None):
        if refused:
            yield f"{who} is refused", after, True
            return
        if joins and end < (state.place or 0) and any(scope.keys[key][0] == A for key in names):
            after = after._replace(fault=AN_OLDER_ROW)
        if state.left.repeats and len(state.writers) == 1:
            left = after.left._replace(repeats=after.left.repeats - 1)
            again = after._replace(left=left, repeat=(start, end))
            yield (
                f"{who} writes the cut up to {end}, and the answer is lost",
                applied(again, names, scope, rules),
                False,
            )
        if Rule.POSITION_WITH_ROWS not in rules and state.left.crashes:
            torn = with_writer(after, number, Writer())
            yield f"{who} commits the position {end} and crashes before the rows", torn, False
        text = f"{who} writes the cut up to {end}" + (" with table A again" if joins else "")
        yield text, applied(after, names, scope, rules), True
        if state.left.refusals:
            left = after.left._replace(refusals=after.left.refusals - 1)
            for key in names:
                text = f"{who} writes the cut up to {end} and quarantines key {key}"
                yield text, applied(after._replace(left=left), names, scope, rules, frozenset({key})), False
    if state.left.failures and takes_part and any(scope.keys[key][0] == A for key in names):
        yield from _left_out(moved, number, who, start, end, names, scope, rules)


def _left_out(
    state: State, number: int, who: str, start: int, end: int, names: dict[int, int], scope: Scope, rules: Rules
) -> Iterator[Step[State]]:
    place = start if Rule.PLACE_AT_START in rules else end
    kept = state.writers[number].place
    if kept is not None:
        place = kept if Rule.KEEP_PLACE in rules else end
    others = {key: value for key, value in names.items() if scope.keys[key][0] != A}
    for refused, after in committed(state, number, rules, end, place, place):
        if not refused:
            left = after.left._replace(failures=after.left.failures - 1)
            after = applied(after._replace(left=left), others, scope, rules)
            after = with_writer(after, number, after.writers[number]._replace(is_ready=False))
        yield f"{who} writes the cut up to {end} without table A, which is set aside at {place}", after, False


def _restarting(state: State, number: int, who: str, scope: Scope, rules: Rules) -> Iterator[Step[State]]:
    """One transaction: a new start, a higher epoch, and a reading with all slices undone."""
    its = state.writers[number]
    if not (its.epoch and its.sequence):
        if Rule.FENCE_RESTART in rules:
            yield f"{who} may not put the stream at a new start", with_writer(state, number, Writer()), True
            return
        state = state._replace(fault="a stream was put at a new start although another writer had taken over")
    new = state._replace(position=its.at, place=None)
    if state.is_covered and Rule.RESTART_WHEN_LOST in rules:
        new = ended(new, None)
        new = new._replace(readings=(Reading(LOAD, state.seq, scope.unread),), is_loaded=False)
    yield f"{who} starts anew at {its.at}", _seized(new, number, its.at), True
