"""The stream of a schema in the hands of its one writer: commits cuts, with all or some of the tables."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Generator, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

import structlog

from warp_resources.errors import TableFailure, TableSlow
from warp_resources.failpoints import failpoint
from warp_resources.model.batches import Changes, ErrorEntry, TableBatch, TableEventKind
from warp_resources.model.positions import Aside, GenerationState, Position, StreamCommit, stream_lease
from warp_resources.model.tables import TableId
from warp_resources.pipeline.arrival import NOTE_EVERY
from warp_resources.pipeline.aside import AsideTables, entry_of, write_cut
from warp_resources.pipeline.engine import Engine
from warp_resources.pipeline.new_tables import Verdict, barred, is_quarantined, verdict_on
from warp_resources.pipeline.snapshot import ChunkReport, first_load, open_generation, planned_slices, read_generation
from warp_resources.pipeline.source_change import Effects, effects_of

WORK_TIME = timedelta(seconds=20)
"""How long all tables of a stream wait for one of them to be written; a cut takes a tenth of a second as a rule."""
PASSING_LOCK = timedelta(milliseconds=50)
"""What is only tried again, beside the stream, waits no longer for a lock."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class StreamRun:
    """The state of a stream between two commits.

    ``fence`` is the commit that would move nothing: the row's epoch, sequence and position.
    ``known``: tables that the schema has, or had once. ``reading``: the chunks of the open generations.
    """

    engine: Engine
    fence: StreamCommit
    covered: set[str]
    known: set[str]
    aside: AsideTables
    pending: list[GenerationState] = field(default_factory=list)
    reading: Generator[ChunkReport] | None = None
    ignored: set[str] = field(default_factory=set)
    moved: Position | None = None
    saved_at: float = field(default_factory=time.monotonic)
    noted_at: float = field(default_factory=time.monotonic)

    def write(self, changes: Changes) -> None:
        """Commit one cut, admitting tables that it brings for the first time, without those that cannot take part."""
        failpoint("cut.read")
        served = [batch for batch in changes.tables if self._is_served(batch.table.name)]
        replaced = {event.table for event in changes.events if event.kind is TableEventKind.REPLACED}
        replaced = {table for table in replaced if self._is_served(table.name)}
        again = {table for table in replaced if table.name in self.covered}
        newly_barred = self.admit({*(batch.table for batch in served), *replaced})
        rejoined = self.aside.rejoining(self.engine.source, self.position(), changes.position)
        names = {its.table.name for its in rejoined}
        batches = [batch for batch in served if self._takes_part(batch.table.name, names)]
        events = [event for event in changes.events if self._takes_part(event.table.name, names)]
        if not (batches or events or rejoined or newly_barred):
            self.moved = changes.position
            return
        taking_part = {name for name in self.covered if self._takes_part(name, names)} if events else set()
        effects = effects_of(self.engine, events, taking_part)
        # Before the position passes the event: after a crash between the two, it comes again.
        self.prepare(effects, again)
        commit = replace(
            self.fence,
            position=changes.position,
            aside=tuple(newly_barred),
            rejoined=tuple(its.table for its in rejoined),
            lock_wait=self.aside.lock_wait,
            work_time=WORK_TIME if len(self.covered) > 1 else None,
        )
        errors = [*effects.entries, *map(entry_of, newly_barred)]
        self._write_cut(without(batches, effects), commit, errors, rejoined, effects.failures)
        failpoint("cut.written")

    def save_position(self) -> None:
        """Make a position durable that moved without changes, or a quiet table loses its place."""
        if self.moved is None or self.moved == self.fence.position:
            return
        commit = replace(self.fence, position=self.moved)
        self._committed(commit, self.engine.writer.write([], commit).stream_sequence)

    def note_position(self) -> None:
        """Tell others how far a quiet stream has come, where saving that costs too much to do it often."""
        if self.moved is None or time.monotonic() - self.noted_at < NOTE_EVERY.total_seconds():
            return
        self.noted_at = time.monotonic()
        self.engine.leases.note(stream_lease(self.engine.unit.schema), json.dumps(self.moved))

    def position(self) -> Position:
        """Everything up to here has been written, durably or with nothing to write."""
        return self.moved or self.fence.position

    def admit(self, tables: Iterable[TableId], *, is_start: bool = False) -> list[Aside]:
        """Cover tables from the committed position on; each needs a first load then.

        Args:
            is_start: the schema never had a table before, so that none of them is new to it.

        Returns:
            The new ones that their contract bars, for the next commit to note.
        """
        new, refused = [], []
        for table in sorted(table for table in set(tables) if table.name not in self.covered):
            verdict = Verdict.ADMITTED if is_start else self._verdict(table.name)
            if verdict is Verdict.ADMITTED:
                new.append(table)
            elif verdict is Verdict.BARRED and table.name not in self.aside:
                refused.append(Aside(table, self.position(), str(barred(self.engine, table.name))))
        for its in refused:
            log.error("new table is not admitted", table=str(its.table), reason=its.reason)
            self.aside.put(its, is_barred=True)
        if new:
            self._cover(new)
        return refused

    def load(self, table: TableId) -> None:
        """Open the first load of a table, or note that it needs none."""
        if self.engine.unit.settings(table.name).full_load_enabled:
            self.pending.append(first_load(self.engine, table))
        else:
            self.engine.destination.mark_loaded(table)

    def prepare(self, effects: Effects, again: Collection[TableId]) -> None:
        """Open readings for rows that came or went without an event; ``again``: the tables covered before."""
        for table in effects.emptied:
            self._end_readings(table)
        for table in (*filter(again.__contains__, effects.reread), *effects.emptied):
            name = f"resync-{self.engine.run_id}-{self.fence.sequence}"
            self.pending.append(open_generation(self.engine, table, name))

    def readmit(self, table: TableId, generation: str) -> None:
        """Let a table that is set aside take part from here on, and read it again for all that it has missed."""
        # No chunk reads anything older than what is saved, and the stream brings nothing that it has passed.
        self.save_position()
        planned_slices(self.engine, table)
        failpoint("table.rejoining")
        # At once: of a reading that were open before, chunks could be under way that miss what the table missed.
        sequence = self.engine.destination.admit(self.fence, [table], [], generation=generation)
        self.fence = replace(self.fence, sequence=sequence)
        self.aside.remove(table.name)
        found = self.engine.destination.generations(table.schema)
        self.pending = [its for its in self.pending if its.table != table]
        self.pending += [its for its in found if (its.table, its.generation) == (table, generation)]

    def set_aside(self, failure: TableFailure) -> None:
        """Go on without a table one of whose chunks could not be written; its readings stay open.

        Raises:
            TableFailure: this very one, where it is of no table that the stream covers.
        """
        table = failure.facts.get("table")
        if not isinstance(table, TableId) or table.name not in self.covered:
            raise failure
        its = Aside(table, self.position(), str(failure))
        log.error("table set aside", table=str(table), reason=its.reason)
        self.note(its, [entry_of(its)])
        failpoint("table.aside")
        self.aside.postpone(table.name, is_slow=isinstance(failure, TableSlow))

    def note(self, its: Aside, errors: Sequence[ErrorEntry] = (), batches: Sequence[TableBatch] = ()) -> None:
        """Commit where a table that is set aside is now, and what it has caught up with; the stream stays."""
        work_time = None if self.aside.portions.are_few(its.table.name) else WORK_TIME
        commit = replace(self.fence, aside=(its,), lock_wait=PASSING_LOCK, work_time=work_time)
        receipt = self.engine.writer.write(batches, commit, errors)
        self._stayed(receipt.stream_sequence)
        self.aside.put(its)

    def rejoin(self, tables: Sequence[TableId]) -> None:
        """Let tables that are where the stream is take part again, or forget those that are none of its."""
        failpoint("table.rejoining")
        commit = replace(self.fence, position=self.position(), rejoined=tuple(tables))
        self._committed(commit, self.engine.writer.write([], commit).stream_sequence)
        self._take_back(tables)

    @property
    def unread(self) -> list[GenerationState]:
        """The open generations of tables that take part."""
        return [generation for generation in self.pending if generation.table.name not in self.aside]

    def next_chunk(self) -> ChunkReport | None:
        """Read and commit the next chunk of the open generations; None where there is none to read now."""
        if self.reading is None:
            if not self.unread:
                return None
            self.reading = self._chunks()
        try:
            chunk = next(self.reading, None)
        except TableFailure as failure:
            self.reading = None
            self.set_aside(failure)
            return None
        if chunk is None:
            self.reading = None
        else:
            self.engine.has_worked = True
        return chunk

    def close(self) -> None:
        """Leave the slice that is being read to whoever goes on; before, this very process could not take it again."""
        self.aside.close()
        reading, self.reading = self.reading, None
        if reading is not None:
            reading.close()

    def _chunks(self) -> Generator[ChunkReport]:
        """One committed chunk per step over all open generations, until none is open."""
        for generation in self.unread:
            if generation.table.name in self.aside:
                continue
            for chunk in read_generation(self.engine, generation):
                yield chunk
                if generation.table.name in self.aside:
                    break
        found = self.engine.destination.generations(self.engine.unit.schema)
        still_open = {(its.table, its.generation): its for its in found}
        keys = [(its.table, its.generation) for its in self.pending]
        self.pending = [still_open[key] for key in keys if key in still_open]

    def _cover(self, new: Sequence[TableId]) -> None:
        sequence = self.engine.destination.admit(self.fence, new, [])
        self.fence = replace(self.fence, sequence=sequence)
        self.covered.update(table.name for table in new)
        self.known.update(table.name for table in new)
        failpoint("stream.admitted")
        for table in new:
            was_barred = table.name in self.aside
            self.aside.remove(table.name)
            if was_barred and is_quarantined(self.engine, table.name):
                self.pending.append(first_load(self.engine, table))
            else:
                self.load(table)

    def _verdict(self, name: str) -> Verdict:
        is_new = name not in self.known or name in self.aside.barred
        verdict = verdict_on(self.engine, name) if is_new else Verdict.ADMITTED
        if verdict is Verdict.IGNORED and name not in self.ignored:
            self.ignored.add(name)
            log.info("new table is discarded by contract", table=str(self.engine.table(name)))
        return verdict

    def _end_readings(self, table: TableId) -> None:
        """What a reading saw before the rows went must not be written after it."""
        if self.reading is not None:
            self.reading.close()
            self.reading = None
        mine = [its for its in self.engine.destination.generations(table.schema) if its.table == table]
        for its in mine:
            reason = "the rows went at the source; it is read again"
            self.engine.destination.abandon_generation(table, its.generation, reason)
        self.pending = [its for its in self.pending if its.table != table]

    def _write_cut(
        self,
        batches: Sequence[TableBatch],
        commit: StreamCommit,
        errors: Sequence[ErrorEntry],
        rejoined: Sequence[Aside],
        failures: dict[TableId, TableFailure],
    ) -> None:
        start = {batch.table: self.position() for batch in batches} | dict.fromkeys(failures, self.position())
        places = start | {its.table: its.position for its in rejoined}
        cut = write_cut(self.engine.writer, batches, commit, errors, places, failures)
        self._committed(commit, cut.sequence)
        left_out = {its.table for its in cut.left_out}
        if left_out:
            failpoint("table.aside")
        self._take_back([its.table for its in rejoined if its.table not in left_out])
        for its in cut.left_out:
            self.aside.leave_out(its, is_slow=its.table in cut.slow)

    def _take_back(self, tables: Sequence[TableId]) -> None:
        for table in tables:
            self.aside.remove(table.name)
            if table.name in self.covered:
                log.info("table takes part in its stream again", table=str(table))

    def _takes_part(self, name: str, rejoined: set[str]) -> bool:
        return (name not in self.aside or name in rejoined) and name not in self.ignored

    def _is_served(self, name: str) -> bool:
        return name in self.covered or self.engine.unit.is_chosen(name)

    def _committed(self, commit: StreamCommit, sequence: int | None) -> None:
        self.fence = replace(self.fence, position=commit.position)
        self.moved = None
        self.saved_at = time.monotonic()
        self.engine.has_worked = True
        self._stayed(sequence)

    def _stayed(self, sequence: int | None) -> None:
        if sequence is None:
            raise AssertionError("a stream commit gives the stream row's sequence")
        self.fence = replace(self.fence, sequence=sequence)


def without(batches: Sequence[TableBatch], effects: Effects) -> list[TableBatch]:
    """The batches but those of tables that are read again: what they hold is from before that."""
    anew = {*effects.reread, *effects.emptied}
    return [batch for batch in batches if batch.table not in anew]
