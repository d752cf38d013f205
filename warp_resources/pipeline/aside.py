"""Keeps the tables that a stream goes on without, and when each of them is tried again."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

import structlog

from warp_resources.connectors.interfaces import ChangeStream, Source
from warp_resources.errors import TableFailure, TablesAside, TableSlow
from warp_resources.model.batches import ErrorEntry, TableBatch
from warp_resources.model.positions import Aside, Position, StreamCommit
from warp_resources.model.tables import TableId
from warp_resources.pipeline.portions import Portions
from warp_resources.pipeline.retry import BackoffPolicy
from warp_resources.pipeline.writer import Writer

FIRST_WAIT_SECONDS = 2.0
LOCK_WAIT, NEXT_LOCK_WAIT = timedelta(seconds=5), timedelta(milliseconds=200)
"""How long all tables of a stream wait for a lock on one of them, and for those that are met soon after it."""
SOON_SECONDS = 60.0
LONGEST_WAIT_SECONDS = 20.0
"""A trial costs little, and what stood in the way may be mended at any time."""
MOST_GROWTH = 30
"""Steps after which the wait no longer grows, whatever its bound."""
SET_ASIDE = "table_set_aside"
_NUMBERS, _FACTS = re.compile(r"\d+"), re.compile(r" \[[^\[\]]*\]$")

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Trial:
    """How far a table is on its way back.

    ``is_ready``: it is where the main stream is, or ahead of it, and joins at the first cut that ends there.
    """

    stream: ChangeStream | None = None
    failures: int = 0
    due_at: float = 0.0
    is_begun: bool = False
    is_ready: bool = False

    def end(self) -> None:
        stream, self.stream = self.stream, None
        self.is_begun = self.is_ready = False
        if stream is not None:
            stream.close()


@dataclass(slots=True)
class AsideTables:
    """The tables that are set aside, by name.

    ``barred``: new tables that their contract does not admit; they are tried by no stream.
    """

    backoff: BackoffPolicy
    places: dict[str, Aside] = field(default_factory=dict)
    barred: set[str] = field(default_factory=set)
    trials: dict[str, Trial] = field(default_factory=dict)
    wary_until: float = 0.0
    portions: Portions = field(default_factory=Portions)

    @property
    def lock_wait(self) -> timedelta:
        """How long a cut is to wait for a lock; where one table is locked, others may be."""
        return NEXT_LOCK_WAIT if time.monotonic() < self.wary_until else LOCK_WAIT

    def __contains__(self, name: object) -> bool:
        return name in self.places

    def put(self, its: Aside, *, is_barred: bool = False) -> None:
        """Set a table aside, or move one that is."""
        if its.table.name not in self.places:
            self.portions.begin(its.table.name)
        self.places[its.table.name] = its
        self.trials.setdefault(its.table.name, Trial())
        if is_barred:
            self.barred.add(its.table.name)

    def remove(self, name: str) -> None:
        """A table takes part again, or has left the stream."""
        self.barred.discard(name)
        self.places.pop(name, None)
        self.portions.end(name)
        trial = self.trials.pop(name, None)
        if trial is not None:
            trial.end()

    def postpone(self, name: str, *, is_slow: bool = False) -> None:
        """A table cannot take part yet: the next trial is later than the one before."""
        self.portions.begin(name, is_slow=is_slow)
        trial = self.trials[name]
        trial.end()
        growth = self.backoff.factor ** min(trial.failures, MOST_GROWTH)
        seconds = min(self.backoff.max_seconds, LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * growth)
        trial.failures += 1
        trial.due_at = time.monotonic() + seconds

    def leave_out(self, its: Aside, *, is_slow: bool) -> None:
        """The stream goes on without a table from a cut on that it could not take part in."""
        self.put(its)
        self.postpone(its.table.name, is_slow=is_slow)
        self.wary_until = time.monotonic() + SOON_SECONDS

    def due(self) -> list[Aside]:
        """The tables that are on their way back, or are to set out now; who has waited longest comes first."""
        now = time.monotonic()
        found = [its for its in self.awaited if not self._of(its).is_ready and self._of(its).due_at <= now]
        return sorted(found, key=lambda its: self._of(its).due_at)

    def hasten(self) -> None:
        """Try all of them now."""
        for trial in self.trials.values():
            trial.due_at = 0.0

    def rejoining(self, source: Source, start: Position, end: Position) -> list[Aside]:
        """The tables that take part from the cut on that leads from one position of the main stream to another.

        They have all that came before it, and it has all that they have, so that it can be written whole.
        """
        return [
            its
            for its in self.awaited
            if self._of(its).is_ready
            and source.has_delivered(its.position, start)
            and source.has_delivered(end, its.position)
        ]

    @property
    def is_settled(self) -> bool:
        """Whether every table waits for a later trial."""
        return not self.due() and not any(self._of(its).is_ready for its in self.awaited)

    def demand_none(self, schema: str) -> None:
        """Raise ``TablesAside`` if a table that the stream covers is set aside."""
        awaited = self.awaited
        if not awaited:
            return
        names = ", ".join(str(its.table) for its in awaited)
        raise TablesAside(
            f"Set aside, while all other tables of {schema} are complete: {names}. {awaited[0].reason}",
            remedy="Once that is mended, the next run catches up",
            tables=len(awaited),
        )

    def close(self) -> None:
        for trial in self.trials.values():
            trial.end()

    @property
    def awaited(self) -> list[Aside]:
        """The tables that are to come back, in name order."""
        return [its for name, its in sorted(self.places.items()) if name not in self.barred]

    def _of(self, its: Aside) -> Trial:
        return self.trials[its.table.name]


@dataclass(frozen=True, slots=True)
class Cut:
    """What became of a cut: the stream row's new sequence, and the tables that were left out of it.

    ``slow``: those of them that took too long.
    """

    sequence: int | None
    left_out: tuple[Aside, ...]
    slow: frozenset[TableId]


def write_cut(
    writer: Writer,
    batches: Sequence[TableBatch],
    commit: StreamCommit,
    errors: Sequence[ErrorEntry],
    places: Mapping[TableId, Position],
    failures: Mapping[TableId, TableFailure],
) -> Cut:
    """Commit a cut without the tables that fail; each is set aside in the same transaction.

    Args:
        places: where each table is if it is left out; the others are where the stream was.
        failures: the tables that are to be left out from the start.
    """
    failed = dict(failures)
    while True:
        left_out = tuple(Aside(table, places[table], str(failure)) for table, failure in sorted(failed.items()))
        asking = replace(
            commit,
            aside=(*commit.aside, *left_out),
            lock_wait=NEXT_LOCK_WAIT if failed else commit.lock_wait,
            rejoined=tuple(table for table in commit.rejoined if table not in failed),
        )
        parts = [batch for batch in batches if batch.table not in failed]
        try:
            receipt = writer.write(parts, asking, [*errors, *map(entry_of, left_out)])
        except TableFailure as failure:
            table = failure.facts.get("table")
            if not any(batch.table == table for batch in parts):
                raise
            assert isinstance(table, TableId)
            failed[table] = failure
            continue
        for its in left_out:
            log.error("table set aside", table=str(its.table), reason=its.reason)
        slow = frozenset(table for table, failure in failed.items() if isinstance(failure, TableSlow))
        return Cut(receipt.stream_sequence, left_out, slow)


def entry_of(its: Aside) -> ErrorEntry:
    """What ``error_log`` says of a table that is set aside."""
    return ErrorEntry(
        its.table, SET_ASIDE, its.reason, "its stream goes on without it, and tries it again", severity="error"
    )


def is_same_cause(one: str, other: str) -> bool:
    """Whether two reasons differ in nothing but counts and facts."""
    return _cause(one) == _cause(other)


def _cause(reason: str) -> str:
    return _NUMBERS.sub("#", _FACTS.sub("", reason))
