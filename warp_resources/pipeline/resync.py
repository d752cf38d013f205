"""Reads whole tables, or slices of them, again: the full resync, resumable and beside the stream."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace

import structlog

from warp_resources.connectors.interfaces import Destination
from warp_resources.errors import OperatorError, TransientError
from warp_resources.model.tables import TableId
from warp_resources.pipeline.batch import sync_table
from warp_resources.pipeline.engine import STREAM, Engine, Unit, open_engine
from warp_resources.pipeline.lean import keep_pandas_out
from warp_resources.pipeline.lookout import Lookout
from warp_resources.pipeline.parallel import ALONE, ReadingWish, read_to_end
from warp_resources.pipeline.reading_progress import ReadingProgress
from warp_resources.pipeline.report import SyncReport
from warp_resources.pipeline.retry import Backoff
from warp_resources.pipeline.shares import slices_of
from warp_resources.pipeline.snapshot import open_generation, partition_count, planned_slices

PREFIX = "resync-"
"""Of the names of resyncs that commands begin, which engine processes help with."""
SNAPSHOT = "snapshot"
"""The mode under which runs count what they read beside a stream."""

log = structlog.get_logger(__name__)


def resync_table(
    engine: Engine,
    name: str,
    generation: str,
    *,
    slices: Collection[str] | None = None,
    of: Collection[str] | None = None,
    wish: ReadingWish = ALONE,
) -> SyncReport:
    """Read a table again and, once all its slices are read in this generation, remove what is stale.

    Args:
        generation: names the reading; the same name takes up where it stopped.
        slices: only these partitions (``slice-00``, ...) of a stream table; None means all, and waits for those
            read elsewhere. A partition may be several slices of the plan, or none: see ``shares``.
        of: the partitions that the generation has, if it is new; None means all. Stale rows are found
            by a generation that has all.
        wish: in how many processes, and who is told how far it is.

    Raises:
        LeaseHeld: a batch table that another process is at.
        OperatorError: a stream table that its stream does not cover yet.
    """
    if engine.unit.mode != STREAM:
        return sync_table(engine, name, full_resync=True, generation=generation, wish=wish)
    table = engine.table(name)
    demand_coverage(engine.destination, table)
    report = SyncReport(table)
    planned = planned_slices(engine, table)
    count = partition_count(engine, table)
    wanted = planned if of is None else slices_of(of, count, planned)
    only = None if slices is None else slices_of(slices, count, planned)
    if not wanted or (only is not None and not set(only).intersection(wanted)):
        return report
    read_to_end(engine, open_generation(engine, table, generation, tuple(wanted)), report, wish, only)
    engine.destination.record_run(engine.run_id, table, SNAPSHOT, "stopped" if engine.stop.is_set() else "success")
    return report


def demand_coverage(destination: Destination, table: TableId) -> None:
    """Refuse a table that its stream does not cover: changes during the reading would be missed.

    Raises:
        OperatorError: with the command that covers it.
    """
    state = destination.table_states(table.schema).get(table.name)
    if state is None or state.covered_from is None:
        raise OperatorError(
            "The stream does not cover this table yet",
            remedy=f"Start it once: cartridge-warp run --once --schema {table.schema}",
            table=table,
        )


@dataclass(slots=True)
class Resync:
    """A resync of one whole table that goes on with one that was interrupted, and outlives lost connections.

    ``prepare`` is called before anything is read, with the name of the reading that is taken up, if one is.
    """

    unit: Unit
    table: str
    wish: ReadingWish
    prepare: Callable[[Engine, str | None], None]
    run_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    _generation: str = ""
    _was_open: bool = False

    def run(self, stop: threading.Event) -> None:
        """Read until all is read or the stop is asked for.

        Raises:
            TransientError: the incident outlasted ``max_retries``.
            OperatorError: as ``resync_table``.
        """
        keep_pandas_out()
        backoff = Backoff(self.unit.backoff, stop, Lookout(self.unit.config).answers)
        while not stop.is_set():
            engine: Engine | None = None
            opened_at = 0.0
            try:
                with open_engine(self.unit, stop, self.run_id) as engine:
                    opened_at = time.monotonic()
                    self._session(engine)
                    return
            except TransientError as error:
                if engine is not None and engine.has_worked:
                    backoff.worked(time.monotonic() - opened_at)
                if backoff.is_exhausted:
                    raise
                log.warning("interrupted, will try again", table=self.table, error=str(error))
                backoff.pause(error)

    def _session(self, engine: Engine) -> None:
        found = _resyncs(engine, engine.table(self.table))
        if self._was_open and self._generation not in found:
            # Closed by this process, to which the answer was lost, or by another one.
            return
        if not self._generation:
            self.prepare(engine, found[0] if found else None)
            self._generation = found[0] if found else f"{PREFIX}{self.run_id}"
        wish = replace(self.wish, on_progress=self._note)
        resync_table(engine, self.table, self._generation, wish=wish)

    def _note(self, progress: ReadingProgress) -> None:
        self._was_open = True
        self.wish.on_progress(progress)


def _resyncs(engine: Engine, table: TableId) -> list[str]:
    """The open resyncs of the whole table that earlier commands, or this one, began."""
    return [
        opened.generation
        for opened in engine.destination.generations(table.schema)
        if opened.table == table and opened.is_whole and opened.generation.startswith(PREFIX)
    ]
