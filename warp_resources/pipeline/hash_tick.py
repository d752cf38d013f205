"""Brings a batch table up to date by comparing all of it: inserts, updates and deletes, without a marker (X4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from warp_resources.arrow.keys import key_object
from warp_resources.connectors.interfaces import Comparison
from warp_resources.errors import OperatorError, SchemaMoved
from warp_resources.failpoints import failpoint
from warp_resources.model.batches import TableBatch
from warp_resources.model.differences import Surplus
from warp_resources.model.positions import BatchCommit, KeyRange, TableState, batch_lease
from warp_resources.pipeline.engine import BATCH, Engine
from warp_resources.pipeline.report import SyncReport
from warp_resources.pipeline.sides import has_table, read_range, sides_of

HASH = "hash"
"""The strategy, and what ``deletion_log`` says of the rows that went because of it."""
_ATTEMPTS = 3
_KEYS_AT_ONCE = 10_000


def compare_and_write(
    engine: Engine, state: TableState, ranges: Sequence[KeyRange] | None = None, counted_as: str = BATCH
) -> SyncReport:
    """Read the whole table, write what differs, and remove what the source no longer has.

    The rows that are the same are not touched. What was broken off begins anew the next time.

    Args:
        ranges: read these parts of the table only; then nothing is removed.
    """
    report = SyncReport(state.table)
    for attempt in range(_ATTEMPTS):
        try:
            _Pass(engine, state, ranges, counted_as, report).run()
            return report
        except SchemaMoved:
            # A key of another family came: the keys that are noted are not of its type.
            if attempt == _ATTEMPTS - 1:
                raise
            engine.writer.refresh()
    return report


@dataclass(frozen=True, slots=True)
class _Pass:
    """One reading of a table, or of parts of it."""

    engine: Engine
    state: TableState
    ranges: Sequence[KeyRange] | None
    counted_as: str
    report: SyncReport

    def run(self) -> None:
        engine, table = self.engine, self.state.table
        if not self._exists():
            return
        with engine.destination.comparison(table) as comparison:
            for key_range in self.ranges or [KeyRange()]:
                for batch, _ in read_range(sides_of(engine), table, key_range):
                    self._bring_in(comparison, batch)
            # A table that is gone by now was not read to its end, and what it had is kept (X3).
            while self.ranges is None and not engine.stop.is_set() and self._exists():
                found = comparison.surplus(_KEYS_AT_ONCE, self.state.sequence)
                if not found:
                    return
                self._remove(found)

    def _bring_in(self, comparison: Comparison, batch: TableBatch) -> None:
        """Write a chunk if anything of it is new; rows of it that are the same stay as they are all the same."""
        part = self.engine.writer.fitted(batch)
        if part.changes:
            self._write(batch)
            part = self.engine.writer.fitted(batch)
        # Of a value that is set aside, the row does not show that it changed.
        if comparison.compare(part) or part.dead_letters:
            self._write(batch)

    def _remove(self, surplus: Sequence[Surplus]) -> None:
        """Remove the rows whose keys the source proves not to have; one that came back, or is set aside, stays."""
        engine, table = self.engine, self.state.table
        key = engine.source.key(engine.scope, table.name)
        if key is None:
            raise OperatorError("The table has no key by now", remedy="Give it one at the source", table=table)
        keys = [key_object(key, its.key_text) for its in surplus]
        batch = engine.source.read_keys(engine.scope, table.name, keys, None)
        if self._exists():
            self._write(batch)

    def _write(self, batch: TableBatch) -> None:
        table = self.state.table
        self.engine.leases.demand(batch_lease(table))
        commit = BatchCommit(table, self.state.epoch, None, counted_as=self.counted_as, cause=HASH)
        failpoint("tick.read")
        self.report.add(self.engine.writer.write([batch], commit).tables.get(table))

    def _exists(self) -> bool:
        return has_table(self.engine.source, self.engine.scope, self.state.table.name)
