"""A second process that reads slices of the open generations of a schema."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from typing import BinaryIO

import structlog

from warp_resources.config import schema_settings
from warp_resources.connectors.interfaces import ENGINE_CONNECTIONS
from warp_resources.errors import FencedOut, TableFailure, WarpError
from warp_resources.model.positions import GenerationState
from warp_resources.model.tables import TableId
from warp_resources.pipeline.correlation import correlated
from warp_resources.pipeline.engine import Engine, Unit, open_engine
from warp_resources.pipeline.lean import keep_pandas_out
from warp_resources.pipeline.payload import Work, receive_work, start_child, watch_parent
from warp_resources.pipeline.snapshot import engine_generations, read_generation, read_slices
from warp_resources.pipeline.spare import SpareProcess, take_spare
from warp_resources.telemetry.logs import configure_logging

POLL_SECONDS = 0.2
HELPER_ROWS = 100_000
"""Above this many estimated rows to read, a second process is worth its start."""

log = structlog.get_logger(__name__)


class SliceHelper:
    """The helper process as its parent sees it: started now, ended by ``close``."""

    def __init__(self, work: Work) -> None:
        self._child: SpareProcess | subprocess.Popen[bytes] = take_spare(work) or start_child(__name__, work)

    def close(self, *, has_work: bool = True) -> None:
        """Let it finish the chunk in hand, then end it; without work, end it at once."""
        if not has_work:
            self._child.kill()
        if self._child.stdin is not None:
            self._child.stdin.close()
        try:
            self._child.wait(timeout=8)
        except subprocess.TimeoutExpired:
            # Its slice stays where its last committed chunk left it.
            self._child.kill()
            self._child.wait()


def may_help(unit: Unit) -> bool:
    """Whether the configuration leaves room for a second process, by its tables and by its connections."""
    pool = unit.config.destination.pool_size + unit.config.destination.max_overflow
    return schema_settings(unit.config, unit.schema).max_parallel_streams > 1 and pool >= 2 * ENGINE_CONNECTIONS


def read_open_slices(engine: Engine, generation: str = "") -> None:
    """Read slices until every open generation of the schema is read or being read elsewhere.

    Args:
        generation: only this one, and leave it to the parent to close it.
    """
    failed: set[TableId] = set()
    while not engine.stop.is_set():
        found = [opened for opened in engine_generations(engine) if not opened.is_read]
        unread = [its for its in found if its.table not in failed and generation in ("", its.generation)]
        if not unread:
            return
        chunks = 0
        for opened in unread:
            try:
                chunks += _read(engine, opened, closes=not generation)
            except TableFailure as failure:
                # The parent meets the cause too, and sets the table aside.
                log.warning("table left to the stream's process", table=str(opened.table), error=str(failure))
                failed.add(opened.table)
        if not chunks:
            engine.stop.wait(POLL_SECONDS)


def _read(engine: Engine, opened: GenerationState, *, closes: bool) -> int:
    """Read what nobody else reads of a generation; how many chunks."""
    chunks = 0
    try:
        for _ in (read_generation if closes else read_slices)(engine, opened, backwards=True):
            chunks += 1
    except FencedOut as fenced:
        # It was held up for longer than its lease lasts, and another process reads that slice on.
        log.warning("slice was taken over", table=str(opened.table), reason=str(fenced))
        engine.stop.wait(POLL_SECONDS)
    return chunks


def help_out(stdin: BinaryIO, *, is_new: bool = False) -> int:
    """Do the work that comes through ``stdin``; the exit code.

    Args:
        is_new: this process was not forked, so nobody has said how it writes its log.
    """
    stop = threading.Event()
    work = receive_work(stdin)
    if is_new:
        configure_logging(work.unit.config.logging)
    watch_parent(stdin, stop)
    with correlated(work.unit.config, run_id=work.run_id, schema=work.unit.schema):
        try:
            with open_engine(work.unit, stop, work.run_id, is_helper=True) as engine:
                read_open_slices(engine, work.generation)
        except WarpError as error:
            # The parent reads every slice that nobody holds, so it meets the cause itself.
            log.warning("slice helper stopped", error=str(error))
            return 1
    return 0


def main() -> int:
    keep_pandas_out()
    # The parent decides when to stop; a Ctrl-C in the terminal reaches both.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return help_out(sys.stdin.buffer, is_new=True)


if __name__ == "__main__":
    sys.exit(main())
