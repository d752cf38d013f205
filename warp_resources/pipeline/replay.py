"""Replays dead letters: their records are written again, in the order in which they were set aside."""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from itertools import groupby

from warp_resources.config import WarpConfig, schema_settings
from warp_resources.connectors.interfaces import Destination, Source, SourceScope
from warp_resources.errors import OperatorError, TableFailure
from warp_resources.failpoints import failpoint
from warp_resources.model.batches import WITHHELD, Original, TableBatch
from warp_resources.model.letters import DELETE, FOREIGN_KEY, PENDING, KeptLetter, LetterSelection
from warp_resources.model.positions import ReplayCommit
from warp_resources.model.replays import NO_LETTERS, LetterOutcome, ReplayedKey
from warp_resources.model.tables import TableId
from warp_resources.pipeline.correlation import correlated
from warp_resources.pipeline.engine import STREAM, Unit, open_writer
from warp_resources.pipeline.options import open_destination, open_source
from warp_resources.pipeline.writer import Writer

MOST_LETTERS = 100_000
"""Of one replay: those that are left are for the next."""
PORTION_LETTERS, PORTION_BYTES = 100, 8_000_000
"""Of one commit, which holds the table's lock while it finds out which of them are refused."""
PATIENCE = 20
"""How many portions of one table may fail as a whole before the table is given up."""
UNREADABLE_KEY = "The key of its record cannot be read"
KEY_ONLY = "Only the key of its record was kept, since other fields of it may not be stored"


@dataclass(slots=True)
class ReplayReport:
    """What became of letters, and the tables that could not be written at all."""

    outcome: LetterOutcome = NO_LETTERS
    failures: dict[TableId, OperatorError] = field(default_factory=dict)

    def followed(self, later: ReplayReport) -> ReplayReport:
        """Together with another attempt at those that wait for other rows."""
        others = {reason: count for reason, count in self.outcome.pending.items() if reason != FOREIGN_KEY}
        outcome = replace(self.outcome, pending=others) + later.outcome
        return ReplayReport(outcome, self.failures | later.failures)


@dataclass(frozen=True, slots=True)
class Replayer:
    """What it takes to write a schema's records again; beside whatever else writes the schema's tables."""

    source: Source
    destination: Destination
    writer: Writer
    scope: SourceScope

    def replay(self, selection: LetterSelection, goes_on: Callable[[], bool] = lambda: True) -> ReplayReport:
        """``attempt``, and again for what waits for another row as long as any comes free: children need their parents.

        Args:
            goes_on: asked before each commit.
        """
        report = last = self.attempt(selection, goes_on)
        waits = FOREIGN_KEY in selection.reasons or not selection.reasons
        waiting = replace(selection, reasons=(FOREIGN_KEY,))
        while waits and last.outcome.replayed and report.outcome.pending.get(FOREIGN_KEY) and goes_on():
            last = self.attempt(waiting, goes_on)
            report = report.followed(last)
        return report

    def attempt(self, selection: LetterSelection, goes_on: Callable[[], bool] = lambda: True) -> ReplayReport:
        """Write the records of the chosen letters, with all that is pending for the same keys.

        A record comes as a chunk would bring it now: the table's schema may have widened or be widened, and what
        is lost again keeps its letter. A table that cannot be written does not stop the others.

        Args:
            goes_on: asked before each commit.
        """
        chosen = replace(selection, status=PENDING, limit=min(selection.limit or MOST_LETTERS, MOST_LETTERS))
        listed = self.destination.dead_letters(chosen, with_records=False)
        report = ReplayReport()
        done: set[int] = set()
        for table, its in groupby(listed, key=lambda kept: kept.letter.table):
            failing = _Failing()
            for portion in _portions(its):
                if not goes_on():
                    return report
                left = [one for one in portion if one.number not in done]
                report.outcome += _left(left) if failing.is_hopeless else self._portion(table, left, done, failing)
            if failing.last is not None:
                report.failures[table] = failing.last
        return report

    def _portion(
        self, table: TableId, listed: Sequence[KeptLetter], done: set[int], failing: _Failing
    ) -> LetterOutcome:
        keys = tuple(dict.fromkeys(one.letter.key_text for one in listed if one.letter.key_text is not None))
        found = self.destination.dead_letters(LetterSelection(table.schema, table.name, keys=keys)) if keys else []
        letters = [one for one in found if one.number not in done]
        keyless = {one.number: UNREADABLE_KEY for one in listed if one.letter.key_text is None}
        done.update(keyless, (one.number for one in letters))
        outcome = NO_LETTERS
        if keyless:
            outcome += self.writer.write([], ReplayCommit(table, {}, keyless), restored=True).letters
        return outcome + self._of_keys(table, _by_key(letters), failing)

    def _of_keys(self, table: TableId, letters: dict[str, list[KeptLetter]], failing: _Failing) -> LetterOutcome:
        """Halves what the table as a whole refuses, until it is known which records it is for."""
        if not letters or failing.is_hopeless:
            return _left(one for its in letters.values() for one in its)
        try:
            return self._write(table, letters)
        except TableFailure as failure:
            failing.count(failure)
            if len(letters) == 1:
                why = dict.fromkeys((one.number for its in letters.values() for one in its), failure.message)
                return self.writer.write([], ReplayCommit(table, {}, why), restored=True).letters
        keys = list(letters)
        halves = keys[: len(keys) // 2], keys[len(keys) // 2 :]
        first, second = ({key: letters[key] for key in half} for half in halves)
        return self._of_keys(table, first, failing) + self._of_keys(table, second, failing)

    def _write(self, table: TableId, letters: dict[str, list[KeptLetter]]) -> LetterOutcome:
        newest = {key: max(its, key=lambda one: one.age) for key, its in letters.items()}
        withheld = {key for key, one in newest.items() if one.letter.encoding == WITHHELD}
        failed = {one.number: KEY_ONLY for key in withheld for one in letters[key]}
        winners = {key: one for key, one in newest.items() if key not in withheld}
        replayed = {
            key: ReplayedKey(
                one.number,
                tuple(its.number for its in letters[key]),
                max(its.sequence for its in letters[key]),
            )
            for key, one in winners.items()
        }
        batch = self._batch(table, list(winners.values()))
        failpoint("letters.read")
        return self.writer.write([batch], ReplayCommit(table, replayed, failed), restored=True).letters

    def _batch(self, table: TableId, winners: Sequence[KeptLetter]) -> TableBatch:
        """The records as rows, and the keys of letters that are deletes as such."""
        written = [one for one in winners if one.letter.operation != DELETE]
        gone = [one for one in winners if one.letter.operation == DELETE]
        rows = self.source.restore(self.scope, table.name, [_original(one) for one in written])
        keys = self.source.restore(self.scope, table.name, [_key_of(one) for one in gone])
        texts = {one.letter.record: one.letter.key_text for one in written}
        flaws = [
            flaw if flaw.key_text is not None else replace(flaw, key_text=texts.get(flaw.original.record))
            for flaw in rows.flaws
        ]
        deletes = tuple(column for column in keys.columns if column.name in keys.key)
        return replace(rows, flaws=tuple(flaws), deletes=deletes, delete_count=keys.row_count)


@contextmanager
def open_replayer(config: WarpConfig, schema: str, run_id: str | None = None) -> Iterator[Replayer]:
    """What replays letters of a schema, beside a process that streams it; asks nothing of the source's server."""
    unit, its = Unit(config, schema, STREAM), schema_settings(config, schema)
    run_id = run_id or str(uuid.uuid4())
    with closing(open_source(config)) as source, closing(open_destination(config)) as destination:
        destination.check([its.destination_schema])
        destination.prepare()
        warns = config.error_handling.log_conversion_warnings
        scope = replace(unit.scope, include=(), exclude=())
        writer = open_writer(unit, source, destination, run_id, warns=warns, scope=scope)
        with correlated(config, run_id=run_id, schema=schema):
            yield Replayer(source, destination, writer, scope)


@dataclass(slots=True)
class _Failing:
    """How often portions of one table failed as a whole."""

    times: int = 0
    last: OperatorError | None = None

    @property
    def is_hopeless(self) -> bool:
        return self.times >= PATIENCE

    def count(self, failure: OperatorError) -> None:
        self.times += 1
        self.last = failure


def _portions(letters: Iterable[KeptLetter]) -> Iterator[list[KeptLetter]]:
    portion: list[KeptLetter] = []
    size = 0
    for one in letters:
        if portion and (len(portion) == PORTION_LETTERS or size + one.byte_count > PORTION_BYTES):
            yield portion
            portion, size = [], 0
        portion.append(one)
        size += one.byte_count
    if portion:
        yield portion


def _by_key(letters: Iterable[KeptLetter]) -> dict[str, list[KeptLetter]]:
    found: dict[str, list[KeptLetter]] = defaultdict(list)
    for one in letters:
        if one.letter.key_text is not None:
            found[one.letter.key_text].append(one)
    return dict(found)


def _left(letters: Iterable[KeptLetter]) -> LetterOutcome:
    return LetterOutcome(pending=Counter(one.letter.reason for one in letters))


def _original(one: KeptLetter) -> Original:
    return Original(one.letter.record, one.letter.encoding, one.letter.primary_key)


def _key_of(one: KeptLetter) -> Original:
    return Original(one.letter.primary_key, "extended_json", one.letter.primary_key)
