"""Plays the rounds of a soak and judges after each."""

from __future__ import annotations

import heapq
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from pymongo.errors import PyMongoError

from tests.soak.dagster_runs import DagsterRuns
from tests.soak.faults import Faults
from tests.soak.history import histories
from tests.soak.journal import Journal
from tests.soak.judge import Difference, Judge
from tests.soak.layout import add_foreign_key, write_configuration
from tests.soak.lives import surely
from tests.soak.load import Load
from tests.soak.plan import Event
from tests.soak.runs import Broken, Runs
from tests.soak.servers import Servers
from warp_resources.errors import WarpError
from warp_resources.model.positions import Position

RUN, DAGSTER = "run", "dagster"
RECOVERY_SECONDS = 300.0
FIRST_LOAD_SECONDS = 900.0
"""No recovery: Dagster itself may take minutes to start on a busy machine."""
_TICK_SECONDS = 0.05
_LOOK_SECONDS = 0.3
_LONG_SECONDS, _TELL_SECONDS = 10.0, 30.0


def new_folder(seed: int) -> Path:
    """Where a soak keeps everything."""
    folder = Path(tempfile.mkdtemp(prefix=f"cartridge-warp-soak-{seed}-"))
    # PostgreSQL runs as a user of its own.
    folder.chmod(0o755)
    return folder


@dataclass
class Soak:
    """The servers, the load, the product and what is counted; a context manager by ``servers``.

    Args:
        folder: where everything is kept; it stays.
        driver: what runs the product, ``run`` or ``dagster``.
    """

    folder: Path
    seed: int
    servers: Servers
    driver: str = RUN
    counts: Counter[str] = field(default_factory=Counter)
    recoveries: list[float] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.journal = Journal()
        self.load = Load(self.servers.client, self.seed, self.journal)
        self.runs = (DagsterRuns if self.driver == DAGSTER else Runs)(self.folder)
        self.faults = Faults(self.servers, self.runs, self.load)
        self.judge = Judge(self.servers.client, self.servers.warehouse, self.load, self.folder)

    def begin(self) -> None:
        """Fill the source, load it for the first time, and add what users add."""
        uri, schedule = self.servers.mongod.uri, "* * * * *" if self.driver == DAGSTER else None
        write_configuration(self.folder / "warp.yaml", uri, self.servers.proxied_warehouse, schedule)
        write_configuration(self.folder / "direct.yaml", uri, self.servers.warehouse, schedule)
        self.runs.prepare()
        self.load.fill()
        self.runs.start()
        self._arrive("the first load", FIRST_LOAD_SECONDS)
        add_foreign_key(self.servers.warehouse)

    def play(self, events: Sequence[Event], seconds: float) -> None:
        """A round: the load goes on, the events happen at their times; then everything has to be equal."""
        began = time.monotonic()
        undone: list[tuple[float, int, Callable[[], object]]] = []
        waiting = list(events)
        with self.load.going():
            while (now := time.monotonic() - began) < seconds or waiting:
                self.runs.tend()
                while waiting and waiting[0].at <= now:
                    event = waiting.pop(0)
                    self.tell(str(event))
                    self.counts[event.kind] += 1
                    undo = self.faults.do(event)
                    if undo is not None:
                        heapq.heappush(undone, (time.monotonic() - began + event.seconds, len(self.told), undo))
                while undone and undone[0][0] <= now:
                    heapq.heappop(undone)[2]()
                time.sleep(_TICK_SECONDS)
            self.faults.heal()
        while undone:
            heapq.heappop(undone)[2]()
        self.checkpoint()

    def checkpoint(self) -> None:
        """All faults are healed, the load rests: everything becomes equal, and nothing contradicts it."""
        if self.runs.disarm():
            self.runs.kill()
        self.faults.heal()
        self.runs.end_second("terminate")
        took = self._arrive("the checkpoint")
        while self.runs.pending:
            self.runs.tend()
            time.sleep(_TICK_SECONDS)
        # A command that ends may have been what was waited for; one that is late must not undo it.
        self._demand(self.judge.differences())
        self._demand(self.judge.contradictions())
        self.runs.read_log()
        self.recoveries.append(took)
        self.tell(f"      equal after {took:.1f} s")

    def end(self) -> None:
        """Stop as an operator does; a last pass finds nothing to do."""
        self.runs.finish()
        self._demand(self.judge.differences())

    def tell(self, line: str) -> None:
        at = time.monotonic() - self.journal.began
        self.told.append(f"{at:7.1f} s  {line}")
        print(self.told[-1], flush=True)

    def _arrive(self, what: str, seconds: float = RECOVERY_SECONDS) -> float:
        began = time.monotonic()
        lates: dict[str, float] = {}
        told, ends = 0.0, surely(self.judge.ends)
        while True:
            self.runs.tend()
            # One that has been frozen by a failpoint may have left its parents behind.
            self.runs.thaw()
            found = self._look(ends)
            took = time.monotonic() - began
            if not found:
                if took > _LONG_SECONDS:
                    self.tell("      " + ", ".join(f"{table} {late:.0f} s" for table, late in lates.items()))
                return took
            lates |= {its.table: took for its in found}
            if took > told + _TELL_SECONDS:
                told = took
                self.tell(f"      {took:.0f} s after {what} began: {str(found[0])[:300]}")
            if took > seconds:
                self.tell(f"not equal {took:.0f} s after {what} began")
                self._demand(found)
            time.sleep(_LOOK_SECONDS)

    def _look(self, ends: Mapping[str, Position]) -> list[Difference]:
        try:
            return [*self.judge.differences(), *self.judge.behind(ends)]
        except (PyMongoError, psycopg.OperationalError, WarpError) as error:
            return [Difference("everything", f"cannot be looked at: {error}")]

    def _demand(self, found: Sequence[Difference]) -> None:
        if not found:
            return
        lines = [str(its) for its in found] + histories(found, self.journal, self.servers.warehouse)
        raise Broken("\n".join(lines))
