"""A second process that reads slices of the open generations of a schema."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from typing import BinaryIO

import structlog

from warp_resources.errors import TableFailure, WarpError
from warp_resources.model.tables import TableId
from warp_resources.pipeline.correlation import correlated
from warp_resources.pipeline.engine import Engine, open_engine
from warp_resources.pipeline.lean import keep_pandas_out
from warp_resources.pipeline.payload import Work, receive_work, start_child, watch_parent
from warp_resources.pipeline.snapshot import engine_generations, read_generation
from warp_resources.pipeline.spare import SpareProcess, take_spare
from warp_resources.telemetry.logs import configure_logging

POLL_SECONDS = 0.2

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


def read_open_slices(engine: Engine) -> None:
    """Read slices until every open generation of the schema is read or being read elsewhere."""
    failed: set[TableId] = set()
    while not engine.stop.is_set():
        found = [generation for generation in engine_generations(engine) if not generation.is_read]
        unread = [generation for generation in found if generation.table not in failed]
        if not unread:
            return
        chunks = 0
        for generation in unread:
            try:
                chunks += sum(1 for _ in read_generation(engine, generation, backwards=True))
            except TableFailure as failure:
                # The parent meets the cause too, and sets the table aside.
                log.warning("table left to the stream's process", table=str(generation.table), error=str(failure))
                failed.add(generation.table)
        if not chunks:
            engine.stop.wait(POLL_SECONDS)


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
                read_open_slices(engine)
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
